// Reads the expressions of a chat template into a syntax tree. Third part of the template engine; statements are in jinja_parser.hpp.
// Grammar and precedence are Jinja 3.1's: conditional, or, and, not, comparisons, + -, ~, * / // %, **, unary, then attributes, calls,
// filters and tests. Leaves out *arguments. Recursive descent; nesting is bounded before it is entered.
#pragma once
#include <algorithm>
#include <charconv>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/chat/jinja_lexer.hpp"
#include "morsel/chat/jinja_node.hpp"

namespace morsel::jinja {

class ExpressionParser {
  protected:
    explicit ExpressionParser(std::string_view source) : tokens_(Lexer(source).run()) {}

    using Kind = Token::Kind;

    // ---- tokens
    const Token& now() const { return tokens_[at_]; }
    const Token& next() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }
    bool is(Kind kind) const { return now().kind == kind; }
    bool is_op(std::string_view text) const { return now().kind == Kind::op && now().text == text; }
    bool is_word(std::string_view text) const { return now().kind == Kind::name && now().text == text; }
    bool skip_op(std::string_view text) { return is_op(text) && (next(), true); }
    bool skip_word(std::string_view text) { return is_word(text) && (next(), true); }
    std::string found() const {
        switch (now().kind) {
            case Kind::end: return "the end of the template";
            case Kind::variable_end: return "'}}'";
            case Kind::block_end: return "'%}'";
            case Kind::text: return "text";
            default: return "'" + now().text + "'";
        }
    }
    [[noreturn]] void unexpected(std::string expected) const { fail(now().line, "syntax error", std::move(expected), found()); }
    void expect_op(std::string_view text) {
        if (!skip_op(text)) unexpected("'" + std::string(text) + "'");
    }
    void expect(Kind kind, const char* text) {
        if (!is(kind)) unexpected(text);
        next();
    }
    std::string expect_name() {
        if (!is(Kind::name)) unexpected("a name");
        return next().text;
    }
    // A name that may be assigned to.
    std::string target_name() {
        for (const char* word : {"true", "false", "none", "True", "False", "None"})
            if (is_word(word)) unexpected("a name that can be set");
        return expect_name();
    }

    // ---- nodes
    NodeId add(Node node) {
        for (const NodeId child : node.children)
            if (child != no_node) node.height = std::max(node.height, tree_.nodes[child].height + 1);
        if (node.height > max_tree_height) fail(node.line, "template nested too deeply", "at most " + std::to_string(max_tree_height) + " levels");
        tree_.nodes.push_back(std::move(node));
        return static_cast<NodeId>(tree_.nodes.size() - 1);
    }
    NodeId add(NodeKind kind, std::uint32_t line, std::vector<NodeId> children = {}, std::string text = {}) {
        return add(Node{.kind = kind, .line = line, .text = std::move(text), .children = std::move(children)});
    }

    // Counts the nesting of what is being read; the tree's own height is checked as it grows.
    struct Nesting {
        explicit Nesting(ExpressionParser& p) : parser(p) {
            if (++parser.nesting_ > max_nesting)
                fail(parser.now().line, "template nested too deeply", "at most " + std::to_string(max_nesting) + " levels");
        }
        ~Nesting() { --parser.nesting_; }
        Nesting(const Nesting&) = delete;
        Nesting& operator=(const Nesting&) = delete;
        ExpressionParser& parser;
    };

    // ---- expressions, loosest first
    // One expression, or a tuple of several. Without `conditional` an "if" ends it (for x in y if …).
    NodeId tuple(bool conditional = true) {
        const std::uint32_t line = now().line;
        std::vector<NodeId> items;
        bool comma = false;
        while (true) {
            if (comma && (is(Kind::variable_end) || is(Kind::block_end) || is_op(")") || is_op("="))) break;
            items.push_back(conditional ? expression() : logical_or());
            if (!skip_op(",")) break;
            comma = true;
        }
        return comma ? add(NodeKind::tuple, line, std::move(items)) : items.front();
    }

    NodeId expression() {
        const Nesting nesting(*this);
        const std::uint32_t line = now().line;
        NodeId value = logical_or();
        while (skip_word("if")) {
            const NodeId condition = logical_or();
            const NodeId otherwise = skip_word("else") ? expression() : no_node;
            value = add(NodeKind::conditional, line, {value, condition, otherwise});
        }
        return value;
    }

    NodeId logical_or() {
        NodeId left = logical_and();
        while (is_word("or")) {
            const std::uint32_t line = next().line;
            const NodeId right = logical_and();
            left = add(NodeKind::logical_or, line, {left, right});
        }
        return left;
    }
    NodeId logical_and() {
        NodeId left = logical_not();
        while (is_word("and")) {
            const std::uint32_t line = next().line;
            const NodeId right = logical_not();
            left = add(NodeKind::logical_and, line, {left, right});
        }
        return left;
    }
    NodeId logical_not() {
        if (!is_word("not")) return comparison();
        const Nesting nesting(*this);
        const std::uint32_t line = next().line;
        return add(NodeKind::logical_not, line, {logical_not()});
    }

    NodeId comparison() {
        Node node{.kind = NodeKind::compare, .line = now().line};
        node.children.push_back(sum());
        while (true) {
            if (is(Kind::op) && (now().text == "==" || now().text == "!=" || now().text == "<" || now().text == "<=" || now().text == ">" || now().text == ">=")) {
                node.names.push_back(next().text);
            } else if (is_word("in")) {
                node.names.push_back(next().text);
            } else if (is_word("not") && tokens_[at_ + 1].kind == Kind::name && tokens_[at_ + 1].text == "in") {
                next(), next();
                node.names.emplace_back("not in");
            } else {
                break;
            }
            node.children.push_back(sum());
        }
        return node.names.empty() ? node.children.front() : add(std::move(node));
    }

    NodeId sum() { return left_associative({"+", "-"}, &ExpressionParser::concatenation); }
    NodeId concatenation() {
        const std::uint32_t line = now().line;
        std::vector<NodeId> parts = {product()};
        while (skip_op("~")) parts.push_back(product());
        return parts.size() == 1 ? parts.front() : add(NodeKind::concat, line, std::move(parts));
    }
    NodeId product() { return left_associative({"*", "/", "//", "%"}, &ExpressionParser::power); }
    NodeId power() { return left_associative({"**"}, &ExpressionParser::unary_with_filters); }
    NodeId left_associative(std::initializer_list<std::string_view> ops, NodeId (ExpressionParser::*operand)()) {
        NodeId left = (this->*operand)();
        while (is(Kind::op) && std::find(ops.begin(), ops.end(), now().text) != ops.end()) {
            const Token& op = next();
            const NodeId right = (this->*operand)();
            left = add(NodeKind::arithmetic, op.line, {left, right}, op.text);
        }
        return left;
    }

    NodeId unary_with_filters() { return filters(unary(), false); }
    NodeId unary() {
        if (!is_op("-") && !is_op("+")) return postfix(primary());
        const Nesting nesting(*this);
        const Token& op = next();
        const NodeId value = unary();
        return postfix(add(op.text == "-" ? NodeKind::negate : NodeKind::positive, op.line, {value}));
    }

    NodeId primary() {
        const Nesting nesting(*this);
        const Token& token = now();
        const auto constant = [&](Value value) { return add(Node{.kind = NodeKind::constant, .line = token.line, .value = std::move(value)}); };
        switch (token.kind) {
            case Kind::name:
                next();
                if (token.text == "true" || token.text == "True") return constant(true);
                if (token.text == "false" || token.text == "False") return constant(false);
                if (token.text == "none" || token.text == "None") return constant(nullptr);
                return add(NodeKind::name, token.line, {}, token.text);
            case Kind::string: {
                std::string text;
                while (is(Kind::string)) text += next().text;
                return constant(std::move(text));
            }
            case Kind::integer: {
                std::int64_t value = 0;
                const auto end = token.text.data() + token.text.size();
                if (std::from_chars(token.text.data(), end, value).ec != std::errc()) fail(token.line, "integer too large", "64 bits", token.text);
                next();
                return constant(value);
            }
            case Kind::floating: {
                double value = 0;
                std::from_chars(token.text.data(), token.text.data() + token.text.size(), value);
                next();
                return constant(value);
            }
            default: break;
        }
        if (skip_op("(")) {
            if (skip_op(")")) return add(NodeKind::tuple, token.line);
            const NodeId value = tuple();
            expect_op(")");
            return value;
        }
        if (skip_op("[")) {
            std::vector<NodeId> items;
            while (!is_op("]")) {
                if (!items.empty()) expect_op(",");
                if (is_op("]")) break;
                items.push_back(expression());
            }
            expect_op("]");
            return add(NodeKind::list, token.line, std::move(items));
        }
        if (skip_op("{")) {
            std::vector<NodeId> items;
            while (!is_op("}")) {
                if (!items.empty()) expect_op(",");
                if (is_op("}")) break;
                items.push_back(expression());
                expect_op(":");
                items.push_back(expression());
            }
            expect_op("}");
            return add(NodeKind::dict, token.line, std::move(items));
        }
        unexpected("an expression");
    }

    NodeId postfix(NodeId value) {
        while (true) {
            const std::uint32_t line = now().line;
            if (skip_op(".")) {
                if (is(Kind::integer)) {
                    const NodeId index = primary();
                    value = add(NodeKind::subscript, line, {value, index});
                } else {
                    value = add(NodeKind::attribute, line, {value}, expect_name());
                }
            } else if (skip_op("[")) {
                const NodeId index = subscript_index();
                expect_op("]");
                value = add(NodeKind::subscript, line, {value, index});
            } else if (is_op("(")) {
                Node node{.kind = NodeKind::call, .line = line, .children = {value}};
                arguments(node);
                value = add(std::move(node));
            } else {
                return value;
            }
        }
    }

    NodeId subscript_index() {
        const std::uint32_t line = now().line;
        NodeId parts[3] = {no_node, no_node, no_node};
        int count = 0;
        while (!is_op("]")) {
            if (skip_op(":")) {
                if (++count > 2) unexpected("']'");
            } else if (parts[count] == no_node) {
                parts[count] = expression();
            } else {
                unexpected("']'");
            }
        }
        if (count == 0 && parts[0] == no_node) unexpected("an index");
        return count == 0 ? parts[0] : add(NodeKind::slice, line, {parts[0], parts[1], parts[2]});
    }

    void arguments(Node& node) {
        expect_op("(");
        for (bool first = true; !is_op(")"); first = false) {
            if (!first) expect_op(",");
            if (is_op(")")) break;
            if (is_op("*") || is_op("**")) fail(now().line, "*arguments are not supported");
            if (is(Kind::name) && tokens_[at_ + 1].kind == Kind::op && tokens_[at_ + 1].text == "=") {
                node.names.push_back(next().text);
                next();
            } else if (!node.names.empty()) {
                unexpected("a named argument: positional ones come first");
            }
            node.children.push_back(expression());
        }
        expect_op(")");
    }

    // Filters, tests and calls after an expression; `bare`: the first filter's name comes without "|" (filter blocks).
    NodeId filters(NodeId value, bool bare) {
        while (true) {
            const std::uint32_t line = now().line;
            if (bare || skip_op("|")) {
                bare = false;
                Node node{.kind = NodeKind::filter, .line = line, .text = expect_name(), .children = {value}};
                if (is_op("(")) arguments(node);
                value = add(std::move(node));
            } else if (is_word("is")) {
                next();
                const bool negated = skip_word("not");
                Node node{.kind = NodeKind::test, .line = line, .text = expect_name(), .children = {value}};
                if (is_op("(")) {
                    arguments(node);
                } else if (is(Kind::string) || is(Kind::integer) || is(Kind::floating) || is_op("[") || is_op("{") ||
                           (is(Kind::name) && !is_word("else") && !is_word("or") && !is_word("and") && !is_word("if") && !is_word("is") && !is_word("in") && !is_word("not"))) {
                    const NodeId argument = postfix(primary());
                    node.children.push_back(argument);
                } else if (is_word("is")) {
                    unexpected("one test: they cannot be chained");
                }
                value = add(std::move(node));
                if (negated) value = add(NodeKind::logical_not, line, {value});
            } else if (is_op("(")) {
                Node node{.kind = NodeKind::call, .line = line, .children = {value}};
                arguments(node);
                value = add(std::move(node));
            } else {
                return value;
            }
        }
    }

    std::vector<Token> tokens_;
    std::size_t at_ = 0;
    Tree tree_;
    int nesting_ = 0;
};

}  // namespace morsel::jinja
