// Every expression, filter, test, method and tag of the subset against what Jinja itself renders, or refuses
// (tests/reference/chat_templates.py makes the file).
#include <fstream>
#include <string>
#include <vector>

#include "morsel/chat/chat_template.hpp"
#include "support/catch.hpp"
#include "support/reference_data.hpp"

using namespace morsel;

TEST_CASE("every construct renders as in Jinja") {
    std::ifstream file(morsel_test::test_data() / "chat/constructs.jsonl");
    std::vector<OrderedJson> cases;
    for (std::string line; std::getline(file, line);) cases.push_back(OrderedJson::parse(line));
    REQUIRE(cases.size() > 400);
    ChatTemplateArguments arguments;
    arguments.variables = cases.back().at("variables");
    cases.pop_back();
    arguments.now = std::tm{};  // 2024-07-26 13:05:09
    arguments.now->tm_year = 124, arguments.now->tm_mon = 6, arguments.now->tm_mday = 26, arguments.now->tm_wday = 5;
    arguments.now->tm_hour = 13, arguments.now->tm_min = 5, arguments.now->tm_sec = 9;
    for (const OrderedJson& c : cases) {
        const std::string text = c.at("template").get<std::string>();
        const std::string expected = c.contains("rendered") ? c.at("rendered").get<std::string>() : "an error: " + c.at("error").get<std::string>();
        std::string got, message;
        try {
            got = ChatTemplate(text).render(arguments.variables.at("messages"), arguments);
        } catch (const Error& error) {
            got = "an error: " + (c.contains("error") ? c.at("error").get<std::string>() : "unexpected");
            message = error.what();
        }
        CAPTURE(text, message);
        CHECK(got == expected);
    }
}
