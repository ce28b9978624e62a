// The syntax tree of a chat template: nodes in one array, children by index, so that destroying it needs no recursion. Every node knows
// its height, which is bounded. Part of the template engine, between parser and evaluator.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "morsel/chat/jinja_value.hpp"

namespace morsel::jinja {

using NodeId = std::uint32_t;
inline constexpr NodeId no_node = ~NodeId{0};
inline constexpr int max_tree_height = 200;  // of the tree, so of the evaluator's recursion
inline constexpr int max_nesting = 150;      // of the parser's recursion

enum class NodeKind : std::uint8_t {
    // Expressions
    constant,     // value
    name,         // text
    captured,     // the text that the enclosing block set or filter block has rendered
    list,         // children
    tuple,        // children
    dict,         // children: key, value, key, value…
    attribute,    // children[0] . text
    subscript,    // children[0] [ children[1] ]
    slice,        // children: start, stop, step, each or no_node; only as the index of a subscript
    call,         // children[0] ( children[1…] ); the last names.size() of them are named
    filter,       // children[0] | text ( children[1…] ), likewise
    test,         // children[0] is text ( children[1…] ), likewise
    negate,       // - children[0]
    positive,     // + children[0]
    logical_not,  // children[0]
    logical_and,  // children[0], children[1]
    logical_or,   // likewise
    compare,      // children[0] names[0] children[1] names[1] children[2] …
    arithmetic,   // children[0] text children[1]
    concat,       // children
    conditional,  // children: then, condition, else or no_node
    // Statements
    text,         // text
    output,       // children[0]
    block,        // children, one after another
    if_block,     // children: condition, body, condition, body…; the condition of else is no_node
    for_loop,     // names: targets; children: iterable, condition or no_node, body, else or no_node
    set,          // names: targets, or {namespace} with text the attribute; children[0]
    set_block,    // names: target; children: body, expression over `captured`
    macro,        // text; names: parameters; children: a default or no_node per parameter, then the body
    call_block,   // names: parameters of caller(); children: defaults, then the body, then the call
    filter_block, // children: body, expression over `captured`
    with_block,   // names; children: a value per name, then the body
    scope,        // children[0] in a scope of its own
    break_loop,
    continue_loop,
};

struct Node {
    NodeKind kind = NodeKind::block;
    std::uint32_t line = 1;
    std::string text = {};
    Value value = {};
    std::vector<NodeId> children = {};
    std::vector<std::string> names = {};
    bool unpack = false;  // several targets, also where there is only one name: "{% for x, in … %}"
    int height = 1;
};

struct Tree {
    std::vector<Node> nodes = {};
    NodeId root = no_node;
    const Node& operator[](NodeId id) const { return nodes[id]; }
};

}  // namespace morsel::jinja
