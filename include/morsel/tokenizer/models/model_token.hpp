// What a tokenization model makes of one pre-token: ids with the bytes of the pre-token they stand for.
#pragma once
#include <cstddef>
#include <vector>

#include "morsel/core/dtype.hpp"

namespace morsel {

struct ModelToken {
    TokenId id = 0;
    std::size_t begin = 0, end = 0;  // bytes of the pre-token
    friend bool operator==(const ModelToken&, const ModelToken&) = default;
};

using ModelTokens = std::vector<ModelToken>;

}  // namespace morsel
