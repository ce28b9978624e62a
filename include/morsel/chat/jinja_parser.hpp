// Reads the tags of a chat template into a syntax tree: if, for (with condition and else), set, block set, macro, call, filter, with,
// generation, break, continue. Fourth part of the template engine; expressions are in jinja_expression_parser.hpp.
// Follows Jinja 3.1's parser. Leaves out recursive loops, inheritance, includes and translations: an Error names them and their line.
#pragma once
#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/chat/jinja_expression_parser.hpp"
#include "morsel/chat/jinja_node.hpp"

namespace morsel::jinja {

class Parser : private ExpressionParser {
  public:
    explicit Parser(std::string_view source) : ExpressionParser(source) {}

    Tree run() {
        tree_.root = statements({});
        return std::move(tree_);
    }

  private:
    // Up to a tag that begins with one of `ends`, which is left at its name
    NodeId statements(std::initializer_list<std::string_view> ends) {
        const Nesting nesting(*this);
        const std::uint32_t line = now().line;
        std::vector<NodeId> children;
        while (!is(Kind::end)) {
            const std::uint32_t here = now().line;
            if (is(Kind::text)) {
                children.push_back(add(NodeKind::text, here, {}, next().text));
            } else if (is(Kind::variable_begin)) {
                next();
                const NodeId value = tuple();
                expect(Kind::variable_end, "'}}'");
                children.push_back(add(NodeKind::output, here, {value}));
            } else {
                expect(Kind::block_begin, "a tag");
                if (!is(Kind::name)) unexpected("the name of a tag");
                if (std::find(ends.begin(), ends.end(), now().text) != ends.end()) return add(NodeKind::block, line, std::move(children));
                children.push_back(statement());
                expect(Kind::block_end, "'%}'");
            }
        }
        if (ends.size() > 0) unexpected("'" + std::string(*ends.begin()) + "'");
        return add(NodeKind::block, line, std::move(children));
    }
    NodeId body(std::initializer_list<std::string_view> ends) {
        expect(Kind::block_end, "'%}'");
        return statements(ends);
    }

    NodeId statement() {
        const std::uint32_t line = now().line;
        const std::string word = next().text;
        if (word == "if") return if_statement(line);
        if (word == "for") return for_statement(line);
        if (word == "set") return set_statement(line);
        if (word == "macro") return macro_statement(line);
        if (word == "call") return call_statement(line);
        if (word == "with") return with_statement(line);
        if (word == "break") return add(NodeKind::break_loop, loop_only(line, word));
        if (word == "continue") return add(NodeKind::continue_loop, loop_only(line, word));
        if (word == "generation") {
            const NodeId inside = body({"endgeneration"});
            next();
            return add(NodeKind::scope, line, {inside});
        }
        if (word == "filter") {
            if (!is(Kind::name)) unexpected("the name of a filter");
            const NodeId chain = filters(add(NodeKind::captured, line), true);
            const NodeId inside = body({"endfilter"});
            next();
            return add(NodeKind::filter_block, line, {inside, chain});
        }
        fail(line, "tag not supported", "if, for, set, macro, call, filter, with, generation, break, continue or raw", "'" + word + "'");
    }
    std::uint32_t loop_only(std::uint32_t line, const std::string& word) const {
        if (loops_ == 0) fail(line, "'" + word + "' outside a loop");
        return line;
    }

    NodeId if_statement(std::uint32_t line) {
        std::vector<NodeId> children;
        while (true) {
            children.push_back(tuple(false));
            children.push_back(body({"endif", "elif", "else"}));
            const std::string word = next().text;
            if (word == "elif") continue;
            if (word == "else") {
                children.push_back(no_node);
                children.push_back(body({"endif"}));
                next();
            }
            return add(NodeKind::if_block, line, std::move(children));
        }
    }

    NodeId for_statement(std::uint32_t line) {
        Node node{.kind = NodeKind::for_loop, .line = line};
        targets(node);
        if (!skip_word("in")) unexpected("'in'");
        const NodeId iterable = tuple(false);
        const NodeId condition = skip_word("if") ? expression() : no_node;
        if (is_word("recursive")) fail(line, "recursive loops are not supported");
        ++loops_;
        const NodeId inside = body({"endfor", "else"});
        --loops_;
        NodeId otherwise = no_node;
        if (next().text == "else") {
            otherwise = body({"endfor"});
            next();
        }
        node.children = {iterable, condition, inside, otherwise};
        return add(std::move(node));
    }

    void targets(Node& node) {
        const bool bracket = skip_op("(");
        node.names.push_back(target_name());
        while (skip_op(",")) {
            node.unpack = true;
            if (!is(Kind::name) || is_word("in")) break;
            node.names.push_back(target_name());
        }
        if (is_op("(")) fail(now().line, "nested unpacking is not supported");
        if (bracket) expect_op(")");
    }

    NodeId set_statement(std::uint32_t line) {
        Node node{.kind = NodeKind::set, .line = line};
        targets(node);
        if (node.names.size() == 1 && skip_op(".")) node.text = expect_name();
        if (skip_op("=")) {
            node.children = {tuple()};
            return add(std::move(node));
        }
        if (node.unpack) unexpected("'='");
        node.kind = NodeKind::set_block;
        const NodeId captured = add(NodeKind::captured, line);
        const NodeId chain = is_op("|") ? filters(captured, false) : captured;
        const NodeId inside = body({"endset"});
        next();
        node.children = {inside, chain};
        return add(std::move(node));
    }

    void parameters(Node& node) {
        expect_op("(");
        while (!is_op(")")) {
            if (!node.names.empty()) expect_op(",");
            if (is_op(")")) break;
            node.names.push_back(target_name());
            if (skip_op("=")) node.children.push_back(expression());
            else if (!node.children.empty() && node.children.back() != no_node) unexpected("a default: parameters without one come first");
            else node.children.push_back(no_node);
        }
        expect_op(")");
    }

    NodeId macro_statement(std::uint32_t line) {
        Node node{.kind = NodeKind::macro, .line = line, .text = target_name()};
        parameters(node);
        const std::size_t loops = std::exchange(loops_, 0);
        node.children.push_back(body({"endmacro"}));
        loops_ = loops;
        next();
        return add(std::move(node));
    }

    NodeId call_statement(std::uint32_t line) {
        Node node{.kind = NodeKind::call_block, .line = line};
        if (is_op("(")) parameters(node);
        const NodeId call = expression();
        if (tree_.nodes[call].kind != NodeKind::call) fail(line, "syntax error", "a call");
        const std::size_t loops = std::exchange(loops_, 0);
        node.children.push_back(body({"endcall"}));
        loops_ = loops;
        next();
        node.children.push_back(call);
        return add(std::move(node));
    }

    NodeId with_statement(std::uint32_t line) {
        Node node{.kind = NodeKind::with_block, .line = line};
        while (!is(Kind::block_end)) {
            if (!node.names.empty()) expect_op(",");
            node.names.push_back(target_name());
            expect_op("=");
            node.children.push_back(expression());
        }
        node.children.push_back(body({"endwith"}));
        next();
        return add(std::move(node));
    }

    std::size_t loops_ = 0;  // around the tag that is being read
};

}  // namespace morsel::jinja
