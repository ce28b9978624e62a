// Umbrella of the tokenizer room: text → ids and back. Standard library and nlohmann/json only.
#pragma once
#include "morsel/tokenizer/encoding.hpp"
#include "morsel/tokenizer/from_pretrained.hpp"
#include "morsel/tokenizer/loading/word_vocabulary.hpp"
#include "morsel/tokenizer/offset_units.hpp"
#include "morsel/tokenizer/saving/save_tokenizer.hpp"
#include "morsel/tokenizer/special_tokens_in_text.hpp"
#include "morsel/tokenizer/stream_decoder.hpp"
#include "morsel/tokenizer/streaming/count_tokens.hpp"
#include "morsel/tokenizer/streaming/encode_file.hpp"
#include "morsel/tokenizer/streaming/incremental_encoder.hpp"
#include "morsel/tokenizer/tokenizer.hpp"
#include "morsel/tokenizer/trace.hpp"
