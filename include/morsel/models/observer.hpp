// What may look on while a model runs: called as observe(i, hidden) with the input of block i, and after the last block with the
// result as number num_hidden_layers; hidden [rows, hidden_size] is on the device.
#pragma once
#include <cstddef>

namespace morsel {

struct NoObserver {
    void operator()(std::size_t, const float*) const {}
};

}  // namespace morsel
