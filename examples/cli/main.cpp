// morsel: the command-line tool. `morsel COMMAND --help` describes each command.
#include <exception>
#include <iostream>
#include <new>

#include "commands.hpp"
#include "morsel/core/error.hpp"

namespace {

void print_help(std::FILE* out, const cli::Command& command) {
    std::fprintf(out, "usage: morsel %.*s", int(command.name.size()), command.name.data());
    for (const cli::Option& o : command.options)
        std::fprintf(out, o.required ? " %.*s%s%.*s" : " [%.*s%s%.*s]", int(o.name.size()), o.name.data(), o.value.empty() ? "" : " ",
                     int(o.value.size()), o.value.data());
    std::fprintf(out, "%s%.*s\n%.*s\n\n", command.positional.empty() ? "" : " ", int(command.positional.size()), command.positional.data(),
                 int(command.summary.size()), command.summary.data());
    for (const cli::Option& o : command.options) {
        const std::string left = std::string(o.name) + (o.value.empty() ? "" : " ") + std::string(o.value);
        std::fprintf(out, "  %-28s %.*s\n", left.c_str(), int(o.help.size()), o.help.data());
    }
}

void print_overview(std::FILE* out, std::span<const cli::Command> commands) {
    std::fprintf(out, "usage: morsel COMMAND [OPTION…]\n\n");
    for (const cli::Command& c : commands)
        std::fprintf(out, "  %-10.*s %.*s\n", int(c.name.size()), c.name.data(), int(c.summary.size()), c.summary.data());
    std::fprintf(out, "\n'morsel COMMAND --help' says more.\n");
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<cli::Command> commands = {cli::encode_command(),   cli::decode_command(), cli::compare_command(), cli::trace_command(),
                                                cli::generate_command(), cli::chat_command(),   cli::embed_command(),   cli::search_command(),
                                                cli::forward_command(),  cli::inspect_command(), cli::train_command()};
    const std::vector<std::string_view> words(argv + 1, argv + argc);
    if (words.empty() || words[0] == "--help" || words[0] == "-h" || words[0] == "help") {
        print_overview(words.empty() ? stderr : stdout, commands);
        return words.empty() ? 2 : 0;
    }
    for (const cli::Command& command : commands) {
        if (command.name != words[0]) continue;
        for (const std::string_view word : words)
            if (word == "--help" || word == "-h") return print_help(stdout, command), 0;
        try {
            const int status = command.run(cli::Arguments(command, std::span(words).subspan(1)));
            if (std::fflush(stdout) != 0) throw std::runtime_error("cannot write to standard output");
            return status;
        } catch (const cli::UsageError& e) {
            std::fprintf(stderr, "morsel: %s\n", e.what());
            print_help(stderr, command);
            return 2;
        } catch (const std::bad_alloc&) {
            std::fprintf(stderr, "morsel: out of memory\n");
            return 1;
        } catch (const std::exception& e) {
            std::fprintf(stderr, "morsel: %s\n", e.what());
            return 1;
        }
    }
    std::fprintf(stderr, "morsel: unknown command '%.*s'\n", int(words[0].size()), words[0].data());
    print_overview(stderr, commands);
    return 2;
}
