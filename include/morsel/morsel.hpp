// The whole library in one include, room by room in the order in which text flows: bytes, ids, logits, text.
// Programs that only tokenize include morsel/tokenizer.hpp, which needs neither Eigen nor the models.
#pragma once

#include "morsel/tokenizer.hpp"             // text to ids and back
#include "morsel/training/bpe_trainer.hpp"  // text to vocabularies
#include "morsel/training/count_words.hpp"
#include "morsel/training/resumable_counts.hpp"
#include "morsel/training/trained_tokenizer.hpp"
#include "morsel/training/vocabulary_report.hpp"
#include "morsel/training/wordpiece_trainer.hpp"
#include "morsel/formats/open_weights.hpp"  // files to tensors
#include "morsel/ops/cpu.hpp"               // the CPU device
#include "morsel/models/llama.hpp"          // ids to logits
#include "morsel/models/word_vectors_io.hpp"  // vectors of words
#include "morsel/training/word2vec.hpp"
#include "morsel/pipeline/load_encoder.hpp"  // ids to hidden states
#include "morsel/generation/generate.hpp"   // logits to ids
#include "morsel/chat/chat_template.hpp"    // messages to a prompt
#include "morsel/pipeline/text_generator.hpp"  // all of it, from a model directory
#include "morsel/pipeline/attention_map.hpp"
#include "morsel/pipeline/contextual_embedder.hpp"
#include "morsel/pipeline/fill_mask.hpp"
#include "morsel/pipeline/text_embedder.hpp"
#include "morsel/pipeline/span_vectors.hpp"
#include "morsel/search/vector_index.hpp"   // the nearest of many vectors
#include "morsel/visual.hpp"                // pictures of tokens
