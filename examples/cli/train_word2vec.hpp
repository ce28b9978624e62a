// morsel train word2vec: files of lines to vectors of their words.
#pragma once
#include <morsel/core/progress.hpp>
#include <morsel/training/word_counter.hpp>

#include "command.hpp"

namespace cli {

// Gives the exit status.
int train_word2vec(const Arguments& arguments, const morsel::WordSplitting& splitting, const morsel::ProgressCallback& progress);

}  // namespace cli
