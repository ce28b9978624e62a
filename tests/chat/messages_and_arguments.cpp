// What a template sees: messages in either form, tokens, tools in their order, extra variables, reasoning under its names.
#include <string>
#include <thread>
#include <vector>

#include "morsel/chat/chat_template.hpp"
#include "support/catch.hpp"

using namespace morsel;

TEST_CASE("messages as structs and as JSON give the same text") {
    const ChatTemplate chat("{% for m in messages %}<{{ m.role }}>{{ m['content'] }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}");
    const std::vector<ChatMessage> messages = {{"system", "Be brief."}, {"user", "Hi \xF0\x9F\x93\x8C"}};
    const auto json = OrderedJson::parse(R"([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi 📌"}])");
    const std::string expected = "<system>Be brief.</s><user>Hi 📌</s>";
    CHECK(chat.render(messages, {.add_generation_prompt = false, .eos_token = "</s>"}) == expected);
    CHECK(chat.render(json, {.eos_token = "</s>"}) == expected + "<assistant>");
    CHECK(apply_chat_template("{{ messages|length }}", messages) == "2");
    CHECK(apply_chat_template("{{ messages|length }}", json) == "2");
}

TEST_CASE("absent tokens are undefined, absent tools none") {
    const auto none = OrderedJson::array();
    CHECK(apply_chat_template("{{ bos_token is defined }}{{ tools is none }}{{ documents is none }}", none) == "FalseTrueTrue");
    CHECK(apply_chat_template("{{ bos_token }}", none, {.bos_token = ""}) == "");
}

TEST_CASE("keys keep their order and variables go before the rest") {
    ChatTemplateArguments arguments{.tools = OrderedJson::parse(R"([{"z": 1, "a": {"y": [], "b": 2.50}}])")};
    arguments.variables["enable_thinking"] = false;
    arguments.variables["add_generation_prompt"] = false;
    CHECK(apply_chat_template("{{ tools|tojson }}{{ enable_thinking }}{{ add_generation_prompt }}", OrderedJson::array(), arguments) ==
          R"([{"z": 1, "a": {"y": [], "b": 2.5}}]FalseFalse)");
}

TEST_CASE("reasoning is found under its standard names") {
    const auto json = OrderedJson::parse(R"([{"role": "assistant", "content": "x", "reasoning": "hm"}, {"role": "user", "content": "y"}])");
    CHECK(apply_chat_template("{% for m in messages %}{{ m.reasoning_content }}|{{ m.thinking }};{% endfor %}", json) == "hm|hm;|;");
}

TEST_CASE("the clock can be given") {
    std::tm now{};
    now.tm_year = 126, now.tm_mon = 10, now.tm_mday = 4;
    CHECK(apply_chat_template("{{ strftime_now('%d %b %Y') }}", OrderedJson::array(), {.now = now}) == "04 Nov 2026");
    CHECK(apply_chat_template("{{ strftime_now('%Y')|length }}", OrderedJson::array()) == "4");
}

TEST_CASE("one template may be rendered from several threads") {
    const ChatTemplate chat("{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + m.content|length %}{% endfor %}{{ ns.n }}");
    std::vector<std::string> results(4);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < results.size(); ++i)
        threads.emplace_back([&, i] {
            const std::vector<ChatMessage> messages(100, {"user", std::string(i + 1, 'x')});
            for (int round = 0; round < 20; ++round) results[i] = chat.render(messages);
        });
    for (auto& thread : threads) thread.join();
    CHECK(results == std::vector<std::string>{"100", "200", "300", "400"});
}
