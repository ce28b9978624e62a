// Chat templates: messages in, the text that a model was trained on out. A template is compiled once and rendered many times; the object
// is immutable and may be shared between threads. Stands beside the tokenizer: it makes the text that the tokenizer encodes.
// Follows transformers' apply_chat_template (utils/chat_template_utils.py): the same Jinja settings, variables and functions, in a sandbox.
// A template is a program from a stranger, so its work, memory, output and nesting are bounded (jinja::Limits).
// Leaves out the masks of assistant tokens and continue_final_message.
#pragma once
#include <chrono>
#include <cstddef>
#include <ctime>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/chat/jinja_eval.hpp"
#include "morsel/chat/jinja_parser.hpp"

namespace morsel {

struct ChatMessage {
    std::string role = {};     // "system", "user", "assistant", …
    std::string content = {};
};

// What a template sees beside the messages.
struct ChatTemplateArguments {
    bool add_generation_prompt = true;             // end with the beginning of the assistant's turn
    std::optional<std::string> bos_token = {}, eos_token = {}, unk_token = {}, pad_token = {};  // absent: not defined
    OrderedJson tools = nullptr;                   // JSON schemas of functions, or null
    OrderedJson documents = nullptr;
    OrderedJson variables = OrderedJson::object(); // any others by name ("enable_thinking"); these go before all above
    std::optional<std::tm> now = {};               // for strftime_now; absent: the clock, UTC
    jinja::Limits limits = {};
};

class ChatTemplate {
  public:
    // Throws Error with the line of what is wrong or not supported.
    explicit ChatTemplate(std::string_view template_text) : tree_(jinja::Parser(template_text).run()) {}

    // `messages`: an array of objects with "role" and "content" (a text, or whatever the template expects). Throws Error with the
    // line of the template; an error that the template raises itself has its message as reason().
    std::string render(const OrderedJson& messages, const ChatTemplateArguments& arguments = {}) const {
        if (!messages.is_array()) throw Error("wrong value", {.key = "messages", .expected = "an array", .found = messages.type_name()});
        std::vector<std::pair<std::string, jinja::Value>> variables;
        const auto define = [&](const std::string& name, jinja::Value value) {
            for (auto& [n, v] : variables)
                if (n == name) return void(v = std::move(value));
            variables.emplace_back(name, std::move(value));
        };
        define("messages", jinja::from_json(with_reasoning(messages)));
        define("tools", jinja::from_json(arguments.tools));
        define("documents", jinja::from_json(arguments.documents));
        define("add_generation_prompt", arguments.add_generation_prompt);
        if (arguments.bos_token) define("bos_token", *arguments.bos_token);
        if (arguments.eos_token) define("eos_token", *arguments.eos_token);
        if (arguments.unk_token) define("unk_token", *arguments.unk_token);
        if (arguments.pad_token) define("pad_token", *arguments.pad_token);
        for (const auto& [name, value] : arguments.variables.items()) define(name, jinja::from_json(value));
        return jinja::Evaluator(tree_, std::move(variables), arguments.now ? *arguments.now : utc_now(), arguments.limits).run();
    }
    std::string render(std::span<const ChatMessage> messages, const ChatTemplateArguments& arguments = {}) const {
        OrderedJson json = OrderedJson::array();
        for (const ChatMessage& message : messages) json.push_back({{"role", message.role}, {"content", message.content}});
        return render(json, arguments);
    }

  private:
    // Reasoning is passed under several names; as in the reference, templates find it under "reasoning_content" and "thinking".
    static OrderedJson with_reasoning(const OrderedJson& messages) {
        OrderedJson result = OrderedJson::array();
        for (const OrderedJson& message : messages) {
            if (!message.is_object()) throw Error("wrong value", {.key = "messages", .expected = "objects", .found = message.type_name()});
            const OrderedJson* reasoning = nullptr;
            for (const char* name : {"reasoning_content", "thinking", "reasoning"})
                if (reasoning == nullptr && message.contains(name) && !message.at(name).is_null()) reasoning = &message.at(name);
            if (reasoning == nullptr) {
                result.push_back(message);
                continue;
            }
            OrderedJson extended = OrderedJson::object();
            extended["thinking"] = *reasoning;
            for (const auto& [key, value] : message.items()) extended[key] = value;
            extended["reasoning_content"] = *reasoning;
            result.push_back(std::move(extended));
        }
        return result;
    }

    static std::tm utc_now() {
        const std::time_t seconds = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
        std::tm result{};
        gmtime_r(&seconds, &result);
        return result;
    }

    jinja::Tree tree_;
};

// Compiles and renders in one go.
inline std::string apply_chat_template(std::string_view template_text, std::span<const ChatMessage> messages, const ChatTemplateArguments& arguments = {}) {
    return ChatTemplate(template_text).render(messages, arguments);
}
inline std::string apply_chat_template(std::string_view template_text, const OrderedJson& messages, const ChatTemplateArguments& arguments = {}) {
    return ChatTemplate(template_text).render(messages, arguments);
}

}  // namespace morsel
