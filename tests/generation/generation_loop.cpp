// The loop on a small automaton in place of a model: what it feeds, when it stops, what it reports.
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "morsel/generation/generate.hpp"
#include "support/catch.hpp"

using namespace morsel;

namespace {

constexpr std::size_t vocab = 12;

// Prefers the successor of the last token, then 0; remembers what it was fed.
struct Counter {
    std::vector<std::vector<TokenId>> fed = {};
    std::vector<float> logits = {};
    std::span<float> operator()(std::span<const TokenId> ids) {
        fed.emplace_back(ids.begin(), ids.end());
        logits.assign(vocab, 0.0F);
        logits[0] = 1;
        logits[(ids.back() + 1) % vocab] = 5;
        return logits;
    }
};

template <class Work> Error error_of(Work work) {
    try {
        work();
    } catch (const Error& error) {
        return error;
    }
    return Error("none");
}

using Ids = std::vector<TokenId>;

}  // namespace

TEST_CASE("the prompt is fed at once, then one token at a time") {
    Counter model;
    const auto result = generate_tokens(model, Ids{3, 1, 2}, {.max_new_tokens = 3});
    CHECK(result.ids == Ids{3, 4, 5});
    CHECK(result.stop_reason == StopReason::length);
    CHECK(model.fed == std::vector<Ids>{{3, 1, 2}, {3}, {4}});  // the last token is never fed
    CHECK(result.timings.prompt_tokens == 3);
    CHECK(result.timings.new_tokens == 3);
    CHECK(result.timings.prefill_seconds >= 0);
    CHECK(result.timings.first_token_seconds >= result.timings.prefill_seconds);
    CHECK(result.timings.decode_seconds >= 0);
}

TEST_CASE("any end token stops, is the last id and is not shown to the callback") {
    Counter model;
    Ids seen;
    const auto result = generate_tokens(model, Ids{1}, {.max_new_tokens = 9, .eos_token_ids = {9, 4}}, [&](TokenId id) {
        seen.push_back(id);
        return true;
    });
    CHECK(result.ids == Ids{2, 3, 4});
    CHECK(result.stop_reason == StopReason::eos);
    CHECK(seen == Ids{2, 3});
    CHECK(generate_tokens(model, Ids{3}, {.eos_token_ids = {4}}).ids == Ids{4});
}

TEST_CASE("min_new_tokens keeps end tokens away") {
    Counter model;
    const auto result = generate_tokens(model, Ids{1}, {.max_new_tokens = 9, .min_new_tokens = 4, .eos_token_ids = {4, 0}});
    CHECK(result.ids == Ids{2, 3, 1, 2, 3, 4});  // at 4 and 0 ruled out the lowest id of the rest is 1
    CHECK(result.stop_reason == StopReason::eos);
}

TEST_CASE("the callback cancels, or names the reason") {
    Counter model;
    const auto cancelled = generate_tokens(model, Ids{1}, {.max_new_tokens = 9}, [](TokenId id) { return id != 3; });
    CHECK(cancelled.ids == Ids{2, 3});
    CHECK(cancelled.stop_reason == StopReason::cancelled);
    const auto stopped = generate_tokens(model, Ids{1}, {.max_new_tokens = 9}, [](TokenId id) -> std::optional<StopReason> {
        if (id == 4) return StopReason::stop_string;
        return std::nullopt;
    });
    CHECK(stopped.ids == Ids{2, 3, 4});
    CHECK(stopped.stop_reason == StopReason::stop_string);
}

TEST_CASE("the context is a limit before and during the run") {
    Counter model;
    const Error error = error_of([&] { generate_tokens(model, Ids{1, 2, 3, 4}, {.context_limit = 3}); });
    CHECK(error.key() == "prompt");
    CHECK(error.expected() == "at most 3 tokens");
    CHECK(error.found() == "4");
    CHECK(model.fed.empty());
    const auto result = generate_tokens(model, Ids{1, 2, 3}, {.max_new_tokens = ~std::size_t{0}, .context_limit = 5});
    CHECK(result.ids == Ids{4, 5});
    CHECK(result.stop_reason == StopReason::length);
    model.fed.clear();
    CHECK(generate_tokens(model, Ids{1, 2, 3}, {.context_limit = 3}).ids.empty());
    CHECK(generate_tokens(model, Ids{1, 2, 3}, {.max_new_tokens = 0}).stop_reason == StopReason::length);
    CHECK(model.fed.empty());
}

TEST_CASE("an empty prompt is the begin token, or an error") {
    Counter model;
    CHECK(error_of([&] { generate_tokens(model, Ids{}, {}); }).key() == "prompt");
    CHECK(generate_tokens(model, Ids{}, {.max_new_tokens = 1, .bos_token_id = 6}).ids == Ids{7});
}

TEST_CASE("bad logits are an error of that step, padding rows are never chosen") {
    int calls = 0;
    std::vector<float> logits;
    const auto model = [&](std::span<const TokenId>) -> std::span<float> {
        logits.assign(5, 0.0F);
        logits[4] = 9;
        if (++calls == 3) logits[1] = std::numeric_limits<float>::quiet_NaN();
        return logits;
    };
    CHECK(error_of([&] { generate_tokens(model, Ids{1}, {}); }).key() == "step 2");
    CHECK(generate_tokens(model, Ids{1}, {.max_new_tokens = 2, .sampled_vocab = 4}).ids == Ids{0, 0});
    // Every token of a small vocabulary used up: not a crash.
    const GenerationSettings once{.processing = {.no_repeat_ngram_size = 1}, .max_new_tokens = 9};
    CHECK(error_of([&] { generate_tokens(model, Ids{1}, once); }).reason() == "no token is possible");
}

TEST_CASE("the observer sees the model's own logits") {
    Counter model;
    std::vector<float> at_three;
    const GenerationSettings settings{.processing = {.repetition_penalty = 2}, .max_new_tokens = 4};
    generate_tokens(model, Ids{1}, settings, IgnoreToken{}, [&](std::size_t step, std::span<const float> logits) {
        CHECK(logits.size() == vocab);
        at_three.push_back(logits[2]);
        CHECK(step + 1 == at_three.size());
    });
    CHECK(at_three == std::vector<float>{5, 0, 0, 0});
}

TEST_CASE("the same seed gives the same tokens, another seed or sequence others") {
    Counter model;
    const auto run = [&](std::uint64_t seed, std::uint32_t sequence) {
        return generate_tokens(model, Ids{1}, {.processing = {.do_sample = true, .temperature = 3}, .max_new_tokens = 64, .seed = seed, .sequence = sequence}).ids;
    };
    CHECK(run(1, 0) == run(1, 0));
    CHECK(run(1, 0) != run(2, 0));
    CHECK(run(1, 0) != run(1, 1));
    // Steps are keyed by their index: a longer run begins as the shorter one does.
    const auto shorter = generate_tokens(model, Ids{1}, {.processing = {.do_sample = true, .temperature = 3}, .max_new_tokens = 10, .seed = 1}).ids;
    const auto longer = run(1, 0);
    CHECK(shorter == Ids(longer.begin(), longer.begin() + 10));
}
