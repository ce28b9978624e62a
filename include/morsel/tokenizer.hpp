// Umbrella of the tokenizer room: text → ids and back. Standard library and nlohmann/json only.
#pragma once
#include "morsel/tokenizer/encoding.hpp"
#include "morsel/tokenizer/from_pretrained.hpp"
#include "morsel/tokenizer/stream_decoder.hpp"
#include "morsel/tokenizer/tokenizer.hpp"
#include "morsel/tokenizer/trace.hpp"
