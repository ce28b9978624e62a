// Renders the syntax tree of a chat template. Last part of the template engine; chat_template.hpp is what callers use.
// Follows Jinja 3.1: a loop, a macro and a with block have scopes of their own, an if has none; macros see the scope they stand in.
// One Evaluator renders once. Recursion is bounded by the tree's height and Limits::max_depth, work and memory by the budget.
#pragma once
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/chat/jinja_arithmetic.hpp"
#include "morsel/chat/jinja_filters.hpp"
#include "morsel/chat/jinja_node.hpp"
#include "morsel/chat/jinja_runtime.hpp"
#include "morsel/chat/jinja_tests.hpp"

namespace morsel::jinja {

class Evaluator {
  public:
    // `variables`: what the template sees; `now`: what strftime_now formats.
    Evaluator(const Tree& tree, std::vector<std::pair<std::string, Value>> variables, const std::tm& now, const Limits& limits)
        : tree_(tree), budget_(limits), now_(now) {
        frames_.push_back({.variables = std::move(variables), .parent = 0, .id = 0});
        output_.emplace_back();
    }

    std::string run() {
        try {
            execute(tree_.root);
        } catch (const Error& error) {
            if (!error.key().empty()) throw;
            fail(line_, error.reason(), error.expected(), error.found());  // from a value, which knows no line
        }
        return std::move(output_.back());
    }

  private:
    enum class Flow { normal, break_loop, continue_loop };
    struct Frame {
        std::vector<std::pair<std::string, Value>> variables = {};
        std::size_t parent = 0;  // index of the enclosing one; the first frame is its own
        std::uint64_t id = 0;    // never used twice
    };
    struct Macro {
        const Node* node = nullptr;
        std::size_t frame = 0;       // where it was defined,
        std::uint64_t frame_id = 0;  // if that still exists
        Value caller = {};
    };

    // ---- scopes
    std::size_t push_frame(std::size_t parent) {
        frames_.push_back({.variables = {}, .parent = parent, .id = ++last_frame_});
        return std::exchange(current_, frames_.size() - 1);
    }
    void pop_frame(std::size_t previous) {
        frames_.pop_back();
        current_ = previous;
    }
    void assign(const std::string& name, Value value) {
        for (auto& [n, v] : frames_[current_].variables)
            if (n == name) return void(v = std::move(value));
        frames_[current_].variables.emplace_back(name, std::move(value));
    }
    Value look_up(const std::string& name) const {
        for (std::size_t frame = current_;; frame = frames_[frame].parent) {
            for (const auto& [n, value] : frames_[frame].variables)
                if (n == name) return value;
            if (frame == 0) break;
        }
        for (const std::string_view function : {"range", "namespace", "dict", "raise_exception", "strftime_now"})
            if (name == function) return Callable{.kind = Callable::Kind::function, .name = name};
        return Undefined{name};
    }

    struct Depth {
        Depth(int& depth, int limit, std::uint32_t line) : value(depth) {
            if (value >= limit) fail(line, "template nested too deeply", "at most " + std::to_string(limit) + " levels");
            ++value;
        }
        ~Depth() { --value; }
        Depth(const Depth&) = delete;
        Depth& operator=(const Depth&) = delete;
        int& value;
    };

    // ---- statements
    Flow execute(NodeId id) {
        const Node& node = tree_[id];
        const Depth depth(depth_, budget_.limits().max_depth, node.line);
        budget_.charge(1, line_ = node.line);
        switch (node.kind) {
            case NodeKind::text: return print(node.text, node.line);
            case NodeKind::output: return print_value(node);
            case NodeKind::block:
                for (const NodeId child : node.children)
                    if (const Flow flow = execute(child); flow != Flow::normal) return flow;
                return Flow::normal;
            case NodeKind::if_block:
                for (std::size_t i = 0; i + 1 < node.children.size(); i += 2)
                    if (node.children[i] == no_node || truthy(evaluate(node.children[i]))) return execute(node.children[i + 1]);
                return Flow::normal;
            case NodeKind::for_loop: return loop(node);
            case NodeKind::break_loop: return Flow::break_loop;
            case NodeKind::continue_loop: return Flow::continue_loop;
            case NodeKind::set: return set(node);
            case NodeKind::set_block: return set_captured(node);
            case NodeKind::macro:
                assign(node.text, define(node, {}));
                return Flow::normal;
            case NodeKind::call_block: return call_with_body(node);
            case NodeKind::filter_block: return filter_body(node);
            case NodeKind::with_block: return with(node);
            case NodeKind::scope: {
                const std::size_t previous = push_frame(current_);
                const Flow flow = execute(node.children[0]);
                pop_frame(previous);
                return flow;
            }
            default: break;
        }
        fail(node.line, "not a statement");
    }

    Flow print(std::string_view text, std::uint32_t line) {
        budget_.charge(text.size() / 16, line);
        budget_.check_text(output_.back().size() + text.size(), 1, line);
        output_.back() += text;
        return Flow::normal;
    }
    Flow print_value(const Node& node) {
        const Value value = evaluate(node.children[0]);
        if (value.is_string()) return print(value.string(), node.line);
        budget_.charge(weight_of(value), node.line);
        return print(str(value), node.line);
    }

    // What the body prints, as text.
    std::string captured(NodeId body) {
        output_.emplace_back();
        execute(body);
        std::string text = std::move(output_.back());
        output_.pop_back();
        return text;
    }
    // The expression over the text that a block captured.
    Value over_captured(std::string text, NodeId expression) {
        captured_.emplace_back(std::move(text));
        Value value = evaluate(expression);
        captured_.pop_back();
        return value;
    }

    Flow set(const Node& node) {
        Value value = evaluate(node.children[0]);
        if (!node.text.empty()) {
            const Value target = look_up(node.names[0]);
            if (!target.is_namespace()) fail(node.line, "only a namespace has attributes that can be set", "namespace()", type_name(target));
            set_attribute(std::get<Namespace*>(target.data), node.text, std::move(value));
        } else {
            bind(node, value);
        }
        return Flow::normal;
    }
    static void set_attribute(Namespace* space, const std::string& name, Value value) {
        for (auto& [n, v] : space->items)
            if (n == name) return void(v = std::move(value));
        space->items.emplace_back(name, std::move(value));
    }
    // Assigns to the node's target, or each element to one of several.
    void bind(const Node& node, const Value& value) {
        if (!node.unpack) return assign(node.names[0], value);
        const auto items = elements(value, budget_, node.line);
        if (items.size() != node.names.size()) fail(node.line, "wrong number of values to unpack", std::to_string(node.names.size()), std::to_string(items.size()));
        for (std::size_t i = 0; i < items.size(); ++i) assign(node.names[i], items[i]);
    }

    Flow set_captured(const Node& node) {
        const std::size_t previous = push_frame(current_);
        std::string text = captured(node.children[0]);
        pop_frame(previous);
        assign(node.names[0], over_captured(std::move(text), node.children[1]));
        return Flow::normal;
    }
    Flow filter_body(const Node& node) {
        const std::size_t previous = push_frame(current_);
        std::string text = captured(node.children[0]);
        pop_frame(previous);
        const Value value = over_captured(std::move(text), node.children[1]);
        return print(str(value), node.line);
    }
    Flow with(const Node& node) {
        std::vector<Value> values;  // all in the outer scope
        for (std::size_t i = 0; i < node.names.size(); ++i) values.push_back(evaluate(node.children[i]));
        const std::size_t previous = push_frame(current_);
        for (std::size_t i = 0; i < node.names.size(); ++i) assign(node.names[i], std::move(values[i]));
        const Flow flow = execute(node.children.back());
        pop_frame(previous);
        return flow;
    }

    Flow loop(const Node& node) {
        std::vector<Value> items = elements(evaluate(node.children[0]), budget_, node.line);
        const std::size_t previous = push_frame(current_);
        if (node.children[1] != no_node) {
            std::vector<Value> kept;
            for (Value& item : items) {
                bind(node, item);
                if (truthy(evaluate(node.children[1]))) kept.push_back(std::move(item));
            }
            items = std::move(kept);
        }
        Namespace* state = items.empty() ? nullptr : new_namespace(node.line);
        for (std::size_t i = 0; i < items.size(); ++i) {
            frames_[current_].variables.clear();
            describe(*state, items, i);
            assign("loop", state);
            bind(node, items[i]);
            if (execute(node.children[2]) == Flow::break_loop) break;
        }
        pop_frame(previous);
        if (items.empty() && node.children[3] != no_node) {
            const std::size_t outside = push_frame(current_);
            const Flow flow = execute(node.children[3]);
            pop_frame(outside);
            return flow;
        }
        return Flow::normal;
    }
    // The loop variable before pass i.
    static void describe(Namespace& state, const std::vector<Value>& items, std::size_t i) {
        const auto index = static_cast<std::int64_t>(i), size = static_cast<std::int64_t>(items.size());
        const auto method = [&](const char* name) { return Callable{.kind = Callable::Kind::method, .name = name, .self = std::make_shared<const Value>(&state)}; };
        Value last_seen = i > 0 && !state.items.empty() ? state.items.back().second : Value();
        state.items = {{"index0", index},
                       {"index", index + 1},
                       {"first", i == 0},
                       {"last", i + 1 == items.size()},
                       {"length", size},
                       {"revindex", size - index},
                       {"revindex0", size - index - 1},
                       {"previtem", i > 0 ? items[i - 1] : Value(Undefined{"there is no previous item"})},
                       {"nextitem", i + 1 < items.size() ? items[i + 1] : Value(Undefined{"there is no next item"})},
                       {"depth", std::int64_t{1}},  // of recursive loops, which there are none of
                       {"depth0", std::int64_t{0}},
                       {"cycle", method("loop.cycle")},
                       {"changed", method("loop.changed")},
                       {"", std::move(last_seen)}};  // what loop.changed saw last; always the last entry
    }
    Value loop_method(const Value& self, const std::string& name, const Arguments& arguments) {
        auto& items = std::get<Namespace*>(self.data)->items;
        if (name == "loop.cycle") {
            if (arguments.values.empty()) fail(arguments.line, "loop.cycle: missing argument");
            return arguments.values[static_cast<std::size_t>(items[0].second.integer()) % arguments.values.size()];
        }
        const Value now = make_list(arguments.values, true);
        const bool changed = items.back().second.is_undefined() || !same(items.back().second, now, budget_, arguments.line);
        items.back().second = now;
        return changed;
    }

    // ---- calls
    Namespace* new_namespace(std::uint32_t line) {
        budget_.charge(1, line);
        namespaces_.push_back(std::make_unique<Namespace>());
        return namespaces_.back().get();
    }
    Value define(const Node& node, Value caller) {
        budget_.charge(1, node.line);
        macros_.push_back({.node = &node, .frame = current_, .frame_id = frames_[current_].id, .caller = std::move(caller)});
        return Callable{.kind = Callable::Kind::macro, .name = node.text, .macro = macros_.size() - 1};
    }
    Flow call_with_body(const Node& node) {
        const Node& call = tree_[node.children.back()];
        const Value function = evaluate(call.children[0]);
        if (!function.is_callable() || std::get<Callable>(function.data).kind != Callable::Kind::macro) fail(node.line, "a call block calls a macro", {}, type_name(function));
        const Value caller = define(node, {});
        const Value text = call_macro(std::get<Callable>(function.data).macro, arguments(call, "macro"), &caller);
        return print(text.string(), node.line);
    }

    Arguments arguments(const Node& node, std::string what) {
        Arguments result{{}, {}, std::move(what), node.line};
        const std::size_t first_named = node.children.size() - node.names.size();
        for (std::size_t i = 1; i < node.children.size(); ++i) {
            if (i < first_named) result.values.push_back(evaluate(node.children[i]));
            else result.named.emplace_back(node.names[i - first_named], evaluate(node.children[i]));
        }
        return result;
    }

    Value call(const Node& node) {
        const Value function = evaluate(node.children[0]);
        if (function.is_undefined()) fail_undefined(function, node.line);
        if (!function.is_callable()) fail(node.line, "value cannot be called", "a function", type_name(function));
        const Callable& callable = std::get<Callable>(function.data);
        const Arguments given = arguments(node, "'" + callable.name + "'");
        if (callable.kind == Callable::Kind::macro) return call_macro(callable.macro, given, nullptr);
        if (callable.kind == Callable::Kind::function) return call_function(callable.name, given);
        if (callable.self->is_namespace()) return loop_method(*callable.self, callable.name, given);
        return call_method(*callable.self, callable.name, given, budget_);
    }

    // Parameters are the names of the node, defaults its children but the body.
    Value call_macro(std::size_t index, const Arguments& given, const Value* caller) {
        const Depth depth(depth_, budget_.limits().max_depth, given.line);
        const Node& node = *macros_[index].node;
        const bool alive = macros_[index].frame < frames_.size() && frames_[macros_[index].frame].id == macros_[index].frame_id;
        const std::size_t previous = push_frame(alive ? macros_[index].frame : 0);
        if (given.values.size() > node.names.size()) fail(given.line, given.what + ": too many arguments", "at most " + std::to_string(node.names.size()), std::to_string(given.values.size()));
        for (const auto& [name, value] : given.named)
            if (std::find(node.names.begin(), node.names.end(), name) == node.names.end()) fail(given.line, given.what + ": unknown argument", {}, name);
        for (std::size_t i = 0; i < node.names.size(); ++i) {
            const Value* value = given.find(i, node.names[i]);
            assign(node.names[i], value != nullptr ? *value : node.children[i] != no_node ? evaluate(node.children[i]) : Value(Undefined{"parameter '" + node.names[i] + "'"}));
        }
        if (caller != nullptr) assign("caller", *caller);
        std::string text = captured(node.children[node.names.size()]);
        pop_frame(previous);
        return text;
    }

    Value call_function(const std::string& name, const Arguments& a) {
        if (name == "raise_exception") {
            a.expect({"message"});
            fail(a.line, str(a.at(0, "message")));
        }
        if (name == "namespace") {
            Namespace* space = new_namespace(a.line);
            if (!a.values.empty() && a.values[0].is_dict())
                for (const auto& [key, value] : a.values[0].dict()) set_attribute(space, str(key), value);
            else if (!a.values.empty()) fail(a.line, "namespace takes named arguments or a dict");
            for (const auto& [key, value] : a.named) set_attribute(space, key, value);
            return space;
        }
        if (name == "dict") {
            std::vector<std::pair<Value, Value>> items;
            if (a.values.size() > 1 || (a.values.size() == 1 && !a.values[0].is_dict())) fail(a.line, "dict takes named arguments or a dict");
            if (!a.values.empty()) items = a.values[0].dict();
            for (const auto& [key, value] : a.named) put(items, key, value, a.line);
            return make_dict(std::move(items));
        }
        if (name == "strftime_now") {
            a.expect({"format"});
            const std::string* format = a.string(0, "format");
            if (format == nullptr) fail(a.line, "strftime_now: missing argument", "format");
            std::string text(format->size() * 64 + 64, '\0');  // no conversion is longer than that in the C locale
            budget_.check_text(text.size(), 1, a.line);
            text.resize(format->empty() ? 0 : std::strftime(text.data(), text.size(), format->c_str(), &now_));
            return text;
        }
        if (a.values.empty() || a.values.size() > 3) fail(a.line, "range takes one to three integers");
        const std::int64_t start = a.values.size() > 1 ? a.integer(0, "start") : 0, stop = a.integer(a.values.size() > 1 ? 1 : 0, "stop"), step = a.integer(2, "step", 1);
        if (step == 0) fail(a.line, "range with step 0");
        const double count = (static_cast<double>(stop) - static_cast<double>(start)) / static_cast<double>(step);
        if (count > static_cast<double>(budget_.limits().max_range)) fail(a.line, "range too long", "at most " + std::to_string(budget_.limits().max_range) + " numbers");
        std::vector<Value> items;
        for (std::int64_t i = start; step > 0 ? i < stop : i > stop;) {
            items.emplace_back(i);
            if (__builtin_add_overflow(i, step, &i)) break;
        }
        budget_.charge(items.size(), a.line);
        return make_list(std::move(items));
    }

    void put(std::vector<std::pair<Value, Value>>& items, Value key, Value value, std::uint32_t line) {
        budget_.charge(items.size() + 1, line);
        if (key.is_list() || key.is_dict()) fail(line, "key of a dict is no plain value", {}, type_name(key));
        for (auto& [k, v] : items)
            if (equal(k, key)) return void(v = std::move(value));
        items.emplace_back(std::move(key), std::move(value));
    }

    // ---- expressions
    Value evaluate(NodeId id) {
        const Node& node = tree_[id];
        const Depth depth(depth_, budget_.limits().max_depth, node.line);
        budget_.charge(1, line_ = node.line);
        switch (node.kind) {
            case NodeKind::constant: return node.value;
            case NodeKind::name: return look_up(node.text);
            case NodeKind::captured: return captured_.back();
            case NodeKind::list: return sequence(node, false);
            case NodeKind::tuple: return sequence(node, true);
            case NodeKind::dict: return dict(node);
            case NodeKind::attribute: return get_attribute(evaluate(node.children[0]), node.text, budget_, node.line);
            case NodeKind::subscript: return subscript(node);
            case NodeKind::call: return call(node);
            case NodeKind::filter: return filter(node);
            case NodeKind::test: return test(node);
            case NodeKind::negate: return signed_number(node, -1);
            case NodeKind::positive: return signed_number(node, 1);
            case NodeKind::logical_not: return !truthy(evaluate(node.children[0]));
            case NodeKind::logical_and: return either(node, false);
            case NodeKind::logical_or: return either(node, true);
            case NodeKind::compare: return compare_all(node);
            case NodeKind::arithmetic: return binary(node);
            case NodeKind::concat: return concat(node);
            case NodeKind::conditional:
                if (truthy(evaluate(node.children[1]))) return evaluate(node.children[0]);
                return node.children[2] != no_node ? evaluate(node.children[2]) : Value(Undefined{"the inline if-expression without else"});
            default: break;
        }
        fail(node.line, "not an expression");
    }

    Value signed_number(const Node& node, std::int64_t sign) {
        const Value value = evaluate(node.children[0]);
        if (!value.is_number() && !value.is_undefined()) fail(node.line, "sign before something that is no number", {}, type_name(value));
        return arithmetic("*", value, sign, budget_, node.line);
    }
    Value sequence(const Node& node, bool tuple) {
        std::vector<Value> items;
        for (const NodeId child : node.children) items.push_back(evaluate(child));
        return make_list(std::move(items), tuple);
    }
    Value dict(const Node& node) {
        std::vector<std::pair<Value, Value>> items;
        for (std::size_t i = 0; i < node.children.size(); i += 2) {
            Value key = evaluate(node.children[i]);
            put(items, std::move(key), evaluate(node.children[i + 1]), node.line);
        }
        return make_dict(std::move(items));
    }
    Value subscript(const Node& node) {
        const Value value = evaluate(node.children[0]);
        const Node& index = tree_[node.children[1]];
        if (index.kind != NodeKind::slice) return get_item(value, evaluate(node.children[1]), budget_, node.line);
        Value parts[3] = {nullptr, nullptr, nullptr};
        for (std::size_t i = 0; i < 3; ++i)
            if (index.children[i] != no_node) parts[i] = evaluate(index.children[i]);
        return slice(value, parts[0], parts[1], parts[2], budget_, node.line);
    }
    Value filter(const Node& node) {
        const Value value = evaluate(node.children[0]);
        return apply_filter(node.text, value, arguments(node, "filter '" + node.text + "'"), budget_);
    }
    Value test(const Node& node) {
        const Value value = evaluate(node.children[0]);
        return apply_test(node.text, value, arguments(node, "test '" + node.text + "'"), budget_);
    }
    // and, or: the value that decides.
    Value either(const Node& node, bool decides) {
        Value left = evaluate(node.children[0]);
        return truthy(left) == decides ? left : evaluate(node.children[1]);
    }
    Value compare_all(const Node& node) {
        Value left = evaluate(node.children[0]);
        for (std::size_t i = 0; i < node.names.size(); ++i) {
            Value right = evaluate(node.children[i + 1]);
            if (!compare(node.names[i], left, right, budget_, node.line)) return false;
            left = std::move(right);
        }
        return true;
    }
    Value binary(const Node& node) {
        const Value left = evaluate(node.children[0]), right = evaluate(node.children[1]);
        return arithmetic(node.text, left, right, budget_, node.line);
    }
    Value concat(const Node& node) {
        std::vector<Value> parts;
        for (const NodeId child : node.children) parts.push_back(evaluate(child));
        return join(parts, "", false, budget_, node.line);
    }

    const Tree& tree_;
    Budget budget_;
    std::tm now_;
    std::vector<Frame> frames_;   // a stack
    std::size_t current_ = 0;     // the innermost scope
    std::uint64_t last_frame_ = 0;
    std::vector<std::unique_ptr<Namespace>> namespaces_;  // all that were made: a namespace may hold itself
    std::vector<Macro> macros_;
    std::vector<std::string> output_;  // the innermost capture last
    std::vector<Value> captured_;      // for NodeKind::captured
    int depth_ = 0;
    std::uint32_t line_ = 1;  // of the node evaluated last
};

}  // namespace morsel::jinja
