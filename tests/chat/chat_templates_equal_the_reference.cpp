// Every rendering of the reference data, to the byte; a template that raises there raises here with the same message.
#include <fstream>
#include <string>

#include "morsel/chat/chat_template.hpp"
#include "support/catch.hpp"
#include "support/reference_data.hpp"

using namespace morsel;

TEST_CASE("chat templates render as in the reference") {
    const auto path = morsel_test::reference_data("gold/tokenizers/chat_templates.jsonl");
    if (!path) return;
    std::ifstream file(*path);
    int cases = 0;
    for (std::string line; std::getline(file, line); ++cases) {
        const auto c = OrderedJson::parse(line);
        ChatTemplateArguments arguments{.add_generation_prompt = c.at("arguments").at("add_generation_prompt").get<bool>()};
        arguments.variables = c.at("special_tokens");
        std::string expected, got;
        if (c.contains("rendered")) expected = c.at("rendered").get<std::string>();
        else expected = c.at("error").get<std::string>();
        try {
            got = ChatTemplate(c.at("template").get<std::string>()).render(c.at("messages"), arguments);
        } catch (const Error& error) {
            got = "TemplateError: " + error.reason();
        }
        CAPTURE(c.at("template").get<std::string>(), c.at("messages").dump());
        CHECK(got == expected);
    }
    CHECK(cases == 442);
}
