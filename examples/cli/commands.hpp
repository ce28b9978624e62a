// The commands of `morsel`, one file each; main.cpp lists them.
#pragma once
#include "command.hpp"

namespace cli {

Command encode_command();
Command decode_command();
Command compare_command();
Command trace_command();
Command generate_command();
Command chat_command();
Command embed_command();
Command search_command();
Command forward_command();
Command inspect_command();
Command train_command();

}  // namespace cli
