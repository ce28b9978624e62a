// The tests of chat templates: what follows "is", and what select and selectattr take. Part of the template engine.
// Leaves out escaped, filter, test and sameas of anything but none and booleans.
#pragma once
#include <cstdint>
#include <string>

#include "morsel/chat/jinja_methods.hpp"
#include "morsel/chat/jinja_runtime.hpp"

namespace morsel::jinja {

// "value is name(arguments)". Throws Error for an unknown test.
inline bool apply_test(const std::string& name, const Value& v, const Arguments& a, Budget& budget) {
    const auto none = [&] { a.expect({}); };
    const auto other = [&]() -> const Value& { return a.expect({"other"}), a.at(0, "other"); };
    const auto integer = [&] {
        if (v.is_undefined()) fail_undefined(v, a.line);
        if (!v.is_int() && !v.is_bool()) fail(a.line, a.what + " takes an integer", {}, type_name(v));
        return v.integer();
    };
    if (name == "defined") return none(), !v.is_undefined();
    if (name == "undefined") return none(), v.is_undefined();
    if (name == "none") return none(), v.is_none();
    if (name == "boolean") return none(), v.is_bool();
    if (name == "true") return none(), v.is_bool() && truthy(v);
    if (name == "false") return none(), v.is_bool() && !truthy(v);
    if (name == "integer") return none(), v.is_int();
    if (name == "float") return none(), v.is_float();
    if (name == "number") return none(), v.is_number();
    if (name == "string") return none(), v.is_string();
    if (name == "mapping") return none(), v.is_dict();
    if (name == "iterable" || name == "sequence") return none(), v.is_string() || v.is_list() || v.is_dict() || v.is_undefined();
    if (name == "callable") return none(), v.is_callable();
    if (name == "odd") return none(), integer() % 2 != 0;
    if (name == "even") return none(), integer() % 2 == 0;
    if (name == "divisibleby") {
        a.expect({"num"});
        const std::int64_t divisor = a.integer(0, "num");
        if (divisor == 0) fail(a.line, "division by zero");
        return divisor == -1 || integer() % divisor == 0;
    }
    if (name == "upper") return none(), detail::is_cased(str(v), unicode::Category::Lu);
    if (name == "lower") return none(), detail::is_cased(str(v), unicode::Category::Ll);
    if (name == "eq" || name == "equalto" || name == "==") return same(v, other(), budget, a.line);
    if (name == "ne" || name == "!=") return !same(v, other(), budget, a.line);
    if (name == "lt" || name == "lessthan" || name == "<") return order(v, other(), budget, a.line) < 0;
    if (name == "le" || name == "<=") return order(v, other(), budget, a.line) <= 0;
    if (name == "gt" || name == "greaterthan" || name == ">") return order(v, other(), budget, a.line) > 0;
    if (name == "ge" || name == ">=") return order(v, other(), budget, a.line) >= 0;
    if (name == "in") return a.expect({"seq"}), contains(a.at(0, "seq"), v, budget, a.line);
    if (name == "sameas") {
        const Value& o = other();
        return v.data.index() == o.data.index() && (v.is_none() || v.is_bool() || v.is_namespace()) && equal(v, o);
    }
    fail(a.line, "no test of that name", {}, "'" + name + "'");
}

}  // namespace morsel::jinja
