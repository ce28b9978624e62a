// Unigram models have ways of their own past the normalizer and the pre-tokenizer (fast/unigram_words.hpp, fast/mapped_characters.hpp). With the
// normalizers and pre-tokenizers that published tokenizers have, and some that nobody has, they must give what the pipeline gives: on random
// texts of characters that combine, that change alone or beside others, that are white space, and that become it.
#include <random>
#include <string>
#include <utility>
#include <variant>

#include "morsel/formats/json.hpp"
#include "support/catch.hpp"
#include "support/hard_characters.hpp"
#include "support/load_tokenizer.hpp"
#include "support/reference_data.hpp"
#include "support/rounds.hpp"

using namespace morsel;
using namespace morsel_test;

namespace {

struct Steps {
    const char* normalizer;  // "MAP" stands for the character map
    const char* pre_tokenizer;
};

constexpr const char* metaspace = R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true})";
constexpr const char* bare_metaspace = R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"never","split":true})";
constexpr const char* words = R"({"type":"Sequence","pretokenizers":[{"type":"WhitespaceSplit"},{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true}]})";
#define MORSEL_JOIN_SPACES(content) R"({"type":"Replace","pattern":{"Regex":" {2,}"},"content":")" content R"("})"
#define MORSEL_SEQUENCE(steps) R"({"type":"Sequence","normalizers":[)" steps R"(]})"

constexpr Steps pipelines[] = {
    {"MAP", words},                                                                                       // T5, XLM-R
    {"MAP", metaspace},
    {MORSEL_SEQUENCE("MAP," MORSEL_JOIN_SPACES(" ")), metaspace},                                         // BGE-M3
    {MORSEL_SEQUENCE(R"(MAP,{"type":"Strip","strip_left":false,"strip_right":true},)" MORSEL_JOIN_SPACES("▁")), metaspace},
    {MORSEL_SEQUENCE("MAP," MORSEL_JOIN_SPACES("▁")), words},                                             // where ▁ is no space
    {MORSEL_SEQUENCE(MORSEL_JOIN_SPACES(" ") ",MAP"), metaspace},
    {MORSEL_SEQUENCE(R"({"type":"Replace","pattern":{"String":"``"},"content":"\""},{"type":"Replace","pattern":{"String":"''"},"content":"\""},{"type":"NFKD"},{"type":"StripAccents"},)"
                     R"({"type":"Lowercase"},MAP,)" MORSEL_JOIN_SPACES(" ")), metaspace},                 // ALBERT
    {MORSEL_SEQUENCE(R"({"type":"NFKC"},{"type":"Lowercase"})"), bare_metaspace},
    {MORSEL_SEQUENCE(R"({"type":"Nmt"},{"type":"NFKC"},)" MORSEL_JOIN_SPACES(" ")), metaspace},
    {MORSEL_SEQUENCE(R"({"type":"Nmt"},{"type":"NFKC"})"), words},
    {MORSEL_SEQUENCE(R"(MAP,{"type":"Replace","pattern":{"String":"é"},"content":"ab"},{"type":"Replace","pattern":{"String":"中文"},"content":"x"})"), words},
    {"null", metaspace},
    {"null", words},
};

}  // namespace

TEST_CASE("unigram models give by characters what the pipeline gives") {
    const std::filesystem::path path = test_data() / "tokenizers/charsmap.json";
    const std::string map = parse_json_file(path).at("normalizer").at("normalizers").at(0).dump();
    for (const bool byte_fallback : {false, true})
        for (const Steps& steps : pipelines) {
            std::string normalizer = steps.normalizer;
            if (const std::size_t at = normalizer.find("MAP"); at != normalizer.npos) normalizer.replace(at, 3, map);
            const Json pre_tokenizer = parse_json(steps.pre_tokenizer), normalizers = parse_json(normalizer);
            TokenizerParts parts = load_tokenizer(path).parts();
            parts.normalizer.reset();
            if (!normalizers.is_null()) parts.normalizer = normalizer_from_json(JsonObject(normalizers, path));
            parts.pre_tokenizer = pre_tokenizer_from_json(JsonObject(pre_tokenizer, path));
            std::get<Unigram>(parts.model).byte_fallback = byte_fallback;
            const Tokenizer tokenizer(std::move(parts));
            std::mt19937 random(11);
            INFO(steps.normalizer << ", " << steps.pre_tokenizer);
            require_what_the_pipeline_gives(tokenizer, random, morsel_test::rounds(1000));
        }
}
