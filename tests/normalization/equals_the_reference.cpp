// Normalizers and pre-tokenizers cut and align as Hugging Face tokenizers does; the expectations are its output.
#include "support/catch.hpp"

#include "reference_pipeline.hpp"
#if MORSEL_HAS_PCRE2
#include "morsel/tokenizer/pcre2.hpp"
#endif

using namespace morsel;

static std::string listed(const test::PipelineResult& result) {
    std::string text = std::to_string(result.different) + " of " + std::to_string(result.texts) + " differ\n";
    for (const auto& line : result.differences) text += line + '\n';
    return text;
}

TEST_CASE("every normalizer and pre-tokenizer gives the reference's pieces and offsets") {
#if MORSEL_HAS_PCRE2
    const auto result = test::compare_with_reference(MORSEL_TEST_DATA "/text_pipeline.json", pcre2_regex());
    CHECK(result.without_engine == 0);
#else
    const auto result = test::compare_with_reference(MORSEL_TEST_DATA "/text_pipeline.json", {});
#endif
    INFO(listed(result));
    CHECK(result.texts > 1000);
    CHECK(result.different == 0);
}

TEST_CASE("without a regular expression engine the known patterns still work and the others are refused by name") {
    const auto result = test::compare_with_reference(MORSEL_TEST_DATA "/text_pipeline.json", {});
    INFO(listed(result));
    CHECK(result.different == 0);
    CHECK(result.without_engine > 0);
    CHECK(result.texts > 1000);
}
