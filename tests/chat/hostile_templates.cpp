// A template is a stranger's program: whatever it does, rendering ends soon, with a text or an Error that names the line.
#include <chrono>
#include <string>

#include "morsel/chat/chat_template.hpp"
#include "morsel/core/philox.hpp"
#include "support/catch.hpp"
#include "support/text.hpp"

using namespace morsel;
using morsel_test::repeat;

namespace {

// The reason of the Error, or "rendered".
std::string outcome(const std::string& text, const ChatTemplateArguments& arguments = {}) {
    const auto start = std::chrono::steady_clock::now();
    std::string result = "rendered";
    try {
        ChatTemplate(text).render(OrderedJson::array(), arguments);
    } catch (const Error& error) {
        CHECK(error.key().find("chat template line ") == 0);
        result = error.reason();
    }
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(60));
    return result;
}

}  // namespace

TEST_CASE("nesting in the text of a template is bounded") {
    const std::string deep = "template nested too deeply";
    for (const std::size_t n : {1000U, 200000U}) {
        CHECK(outcome("{{ " + repeat("(", n) + "1" + repeat(")", n) + " }}") == deep);
        CHECK(outcome("{{ " + repeat("[", n) + repeat("]", n) + " }}") == deep);
        CHECK(outcome("{{ " + repeat("{1:", n) + repeat("}", n) + " }}") == deep);
        CHECK(outcome("{{ " + repeat("not ", n) + "1 }}") == deep);
        CHECK(outcome("{{ " + repeat("-", n) + "1 }}") == deep);
        CHECK(outcome("{{ " + repeat("1 if 1 else ", n) + "1 }}") == deep);
        CHECK(outcome("{{ 1" + repeat(" + 1", n) + " }}") == deep);
        CHECK(outcome("{{ 1" + repeat(" or 1", n) + " }}") == deep);
        CHECK(outcome("{{ x" + repeat(".a", n) + " }}") == deep);
        CHECK(outcome("{{ x" + repeat("[0]", n) + " }}") == deep);
        CHECK(outcome("{{ x" + repeat("()", n) + " }}") == deep);
        CHECK(outcome("{{ x" + repeat("|upper", n) + " }}") == deep);
        CHECK(outcome("{{ x[" + repeat("x[", n) + repeat("]", n) + "] }}") == deep);
        CHECK(outcome("{{ x(" + repeat("x(", n) + repeat(")", n) + ") }}") == deep);
        CHECK(outcome(repeat("{% if 1 %}", n)) == deep);
        CHECK(outcome(repeat("{% for x in y %}", n)) == deep);
        CHECK(outcome(repeat("{% macro m() %}", n)) == deep);
        CHECK(outcome(repeat("{% set x %}", n)) == deep);
        CHECK(outcome(repeat("{% filter upper %}", n)) == deep);
    }
    CHECK(outcome("{{ " + repeat("(", 50) + "1" + repeat(")", 50) + " }}") == "rendered");
    CHECK(outcome("{{ 'a'" + repeat(" + 'b'", 150) + " }}") == "rendered");
    CHECK(outcome(repeat("{% if 1 %}", 50) + repeat("{% endif %}", 50)) == "rendered");
    CHECK(outcome("{% if 0 %}" + repeat("{% elif 0 %}", 5000) + "{% endif %}") == "rendered");
    CHECK(outcome(repeat("{% if 1 %}{% endif %}{{ 1 }}", 5000)) == "rendered");
}

TEST_CASE("recursion and loops that do not end are errors") {
    CHECK(outcome("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}") == "template nested too deeply");
    CHECK(outcome("{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}") == "template nested too deeply");
    CHECK(outcome("{% macro m() %}{% call m() %}{{ caller() }}{% endcall %}{% endmacro %}{{ m() }}") == "template nested too deeply");
    CHECK(outcome("{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(25) }}") == "template does not end in time");
    CHECK(outcome("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}") == "template does not end in time");
    CHECK(outcome("{% for a in range(1000) %}{% for b in range(1000) %}{% for c in range(1000) %}{{ 1 }}{% endfor %}{% endfor %}{% endfor %}") == "template does not end in time");
    CHECK(outcome("{{ range(1000000000) | list }}") == "range too long");
    CHECK(outcome("{{ range(-9223372036854775807, 9223372036854775807) | list }}") == "range too long");
    CHECK(outcome("{{ range(9223372036854775800, 9223372036854775807, 5) | list }}") == "rendered");
    CHECK(outcome("{{ 2 ** 1000000000 }}") == "integer overflow");
    CHECK(outcome("{{ 1 ** 9000000000000000000 }}{{ (-1) ** 9000000000000000000 }}{{ 0 ** 9000000000000000000 }}") == "rendered");
    CHECK(outcome("{{ 9223372036854775807 + 1 }}") == "integer overflow");
    CHECK(outcome("{{ (-9223372036854775807 - 1) // -1 }}") == "integer overflow");
    CHECK(outcome("{{ -(-9223372036854775807 - 1) }}") == "integer overflow");
    CHECK(outcome("{{ (-9223372036854775807 - 1) % -1 }}{{ (-9223372036854775807 - 1) is divisibleby(-1) }}") == "rendered");
    CHECK(outcome("{{ (-9223372036854775807 - 1) | abs }}") == "integer overflow");
    CHECK(outcome("{{ 99999999999999999999 }}") == "integer too large");
    CHECK(outcome("{{ 'abc'[::9223372036854775807] ~ 'abc'[::-9223372036854775807] ~ 'abc'[9223372036854775807:] }}") == "rendered");
}

TEST_CASE("texts and values that grow without bound are errors") {
    CHECK(outcome("{{ 'a' * 1000000000 }}") == "text too long");
    CHECK(outcome("{{ ('a' * 10000000) * 10000000 }}") == "text too long");
    CHECK(outcome("{{ [1] * 1000000000 }}") == "text too long");
    CHECK(outcome("{{ [] * 9000000000000000000 }}{{ '' * 9000000000000000000 }}") != "");
    CHECK(outcome("{% set x = namespace(s='aaaaaaaa') %}{% for i in range(60) %}{% set x.s = x.s ~ x.s %}{% endfor %}") == "text too long");
    CHECK(outcome("{% set x = namespace(s='aaaaaaaa') %}{% for i in range(60) %}{% set x.s = x.s + x.s %}{% endfor %}") == "text too long");
    CHECK(outcome("{% set x = namespace(l=[1]) %}{% for i in range(90) %}{% set x.l = [x.l, x.l] %}{% endfor %}{{ x.l }}") == "value too large");
    CHECK(outcome("{% set x = namespace(l=[1]) %}{% for i in range(90) %}{% set x.l = {'a': x.l, 'b': x.l} %}{% endfor %}{{ x.l | tojson }}") == "value too large");
    CHECK(outcome("{% set x = namespace(l=[1]) %}{% for i in range(900) %}{% set x.l = [x.l] %}{% endfor %}") == "value nested too deeply");
    CHECK(outcome("{% set x = namespace(l=[1]) %}{% for i in range(60) %}{% set x.l = x.l + x.l %}{% endfor %}") != "rendered");
    CHECK(outcome("{{ ('a' * 1000000).replace('a', 'b' * 1000000) }}") == "text too long");
    CHECK(outcome("{{ ('a' * 1000000) | replace('', 'b' * 1000000) }}") == "text too long");
    CHECK(outcome("{{ (['a' * 1000000] * 1000) | join }}") == "value too large");
    CHECK(outcome("{{ ('a' * 1000000) | join('b' * 1000000) }}") != "rendered");
    CHECK(outcome("{{ 'a' | center(1000000000) }}") == "text too long");
    CHECK(outcome("{{ 'a'.ljust(9000000000000000000) }}") == "text too long");
    CHECK(outcome("{{ '7'.zfill(1000000000) }}") == "text too long");
    CHECK(outcome("{{ '%1000000000d' % 1 }}") == "bad format string");
    CHECK(outcome("{{ '%.999999999999999999999f' % 1 }}") == "bad format string");
    CHECK(outcome("{{ '%999.999f' % -1.7976931348623157e308 }}") == "rendered");
    CHECK(outcome("{{ [[[[1]]]] | tojson(indent=1000000000) }}") == "rendered");
    CHECK(outcome("{{ [1, [2]] | tojson(indent='x' * 10000000) }}") == "text too long");
    CHECK(outcome("{{ ('\\n' * 1000000) | indent(1000, blank=true) }}") == "text too long");
    CHECK(outcome("{{ strftime_now('%c' * 1000000) }}") == "text too long");
    CHECK(outcome("{% for i in range(100000) %}{{ 'a' * 1000 }}{% endfor %}") != "rendered");
    CHECK(outcome("{% set n = namespace() %}{% set n.self = n %}{% set n.l = [n] %}{{ n.self.self.l[0].self is defined }}{{ n }}{{ n == n }}") == "rendered");
}

TEST_CASE("templates may not reach outside or change their values") {
    CHECK(outcome("{{ ''.__class__.__mro__ }}").find("is undefined") != std::string::npos);
    CHECK(outcome("{{ [].append(1) }}") == "a template may not change its values");
    CHECK(outcome("{{ {}.update({}) }}") == "a template may not change its values");
    CHECK(outcome("{{ messages.clear() }}") == "a template may not change its values");
}

TEST_CASE("limits are the caller's to set") {
    ChatTemplateArguments arguments;
    arguments.limits.max_steps = 50;
    CHECK(outcome("{% for i in range(100) %}{% endfor %}", arguments) == "template does not end in time");
    arguments.limits = {.max_text = 10};
    CHECK(outcome("0123456789", arguments) == "rendered");
    CHECK(outcome("0123456789a", arguments) == "text too long");
}

TEST_CASE("errors name what and where") {
    const auto message = [](const std::string& text) {
        try {
            ChatTemplate(text).render(OrderedJson::array());
        } catch (const Error& error) {
            return std::string(error.what());
        }
        return std::string();
    };
    CHECK(message("a\nb\n{% include 'x' %}").find("chat template line 3: tag not supported") == 0);
    CHECK(message("\n{{ 1 | nosuch }}") == "chat template line 2: no filter of that name (found 'nosuch')");
    CHECK(message("{{ 1 is nosuch }}") == "chat template line 1: no test of that name (found 'nosuch')");
    CHECK(message("{{ nosuch.x }}") == "chat template line 1: 'nosuch' is undefined");
    CHECK(message("{{\n\n'a' ~\n1 2 }}").find("chat template line 4: syntax error") == 0);
    CHECK(message("x\n{{ raise_exception('no system role') }}") == "chat template line 2: no system role");
    CHECK(message("\n\n{% if x").find("chat template line 3: tag without end") == 0);
    REQUIRE_THROWS_AS(ChatTemplate("x").render(OrderedJson::object()), Error);
    REQUIRE_THROWS_AS(ChatTemplate("x").render(OrderedJson::array({1})), Error);
    OrderedJson deep = OrderedJson::array();
    for (int i = 0; i < 150; ++i) deep = OrderedJson::array({deep});
    ChatTemplateArguments arguments;
    arguments.variables["deep"] = deep;
    REQUIRE_THROWS_AS(ChatTemplate("x").render(OrderedJson::array(), arguments), Error);
}

TEST_CASE("cut or scrambled templates never crash") {
    const std::string text =
        "{%- set ns = namespace(a=1) %}{% macro m(x, y='d') -%}{{ x ~ y|upper }}{%- endmacro %}{# c #}{% for k, v in {'a': [1, 2.5e3], \"b\": 'x\\n\\u00e9'}.items() if v is not none %}"
        "{{ loop.index }}{{ v[::-1] }}{% if k in 'ab' and not v is string %}{{ m(k, y=v|tojson) }}{% elif v[0:1] == 'x' %}{% continue %}{% else %}{{ '%s' % v }}{% endif %}{% endfor %}"
        "{% raw %}{{ }}{% endraw %}{% set t %}b{% endset %}{{ messages[0]['role'] if messages else (1 - 2) ** 3 // 4 % 5 }}";
    for (std::size_t cut = 0; cut <= text.size(); ++cut) outcome(text.substr(0, cut)), outcome(text.substr(cut));
    for (std::uint64_t round = 0; round < 3000; ++round) {
        std::string changed = text;
        const auto random = philox(17, {.step = round});
        const std::size_t at = random[0] % text.size(), from = random[1] % text.size();
        switch (random[2] % 4) {
            case 0: changed[at] = static_cast<char>(random[3]); break;
            case 1: changed.erase(at, random[3] % 8); break;
            case 2: changed.insert(at, text.substr(from, random[3] % 12)); break;
            default: changed.replace(at, random[3] % 6, text.substr(from, random[3] % 9)); break;
        }
        outcome(changed);
    }
}
