// Runs the cases of a file that tests/reference/text_pipeline.py wrote: what Hugging Face tokenizers gives, against ours.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "morsel/tokenizer/splitting/pre_tokenizers.hpp"
#include "morsel/tokenizer/text/normalizers.hpp"

namespace morsel::test {

struct PipelineResult {
    std::size_t texts = 0, without_engine = 0;
    std::vector<std::string> differences = {};  // the first few
    std::size_t different = 0;
};

inline PipelineResult compare_with_reference(const std::filesystem::path& path, const RegexCompiler& compiler) {
    const Json document = parse_json_file(path);
    PipelineResult result;
    for (const Json& description : document.at("cases")) {
        Normalizer normalizer;
        PreTokenizer pre_tokenizer;
        try {
            if (!description.at("normalizer").is_null()) normalizer = normalizer_from_json(JsonObject(description.at("normalizer"), path), compiler);
            if (!description.at("pre_tokenizer").is_null()) pre_tokenizer = pre_tokenizer_from_json(JsonObject(description.at("pre_tokenizer"), path), compiler);
        } catch (const Error& e) {
            if (compiler || std::string(e.what()).find("pcre2.hpp") == std::string::npos) throw;
            ++result.without_engine;
            continue;
        }
        const bool by_character = description.at("by_character").get<bool>();
        if (by_character) pre_tokenizer.steps.emplace_back(FixedLengthPreTokenizer{1});
        const Json& texts = description.at("texts").is_null() ? document.at("texts") : description.at("texts");
        for (std::size_t i = 0; i < texts.size(); ++i) {
            const auto text = texts[i].get<std::string>();
            std::vector<AlignedText> pieces{aligned(text)};
            normalize(normalizer, pieces[0]);
            pre_tokenize(pre_tokenizer, pieces);
            Json found_text = Json::array(), found_offsets = Json::array();
            std::string joined;
            for (const auto& piece : pieces) {
                if (piece.text.empty()) continue;  // without a pre-tokenizer the section itself may be empty
                const Span origin = origin_of(piece, 0, piece.text.size());
                joined += piece.text;
                found_text.push_back(piece.text);
                found_offsets.push_back(origin.begin), found_offsets.push_back(origin.end);
            }
            if (by_character) found_text = joined;
            const Json found = Json::array({found_text, found_offsets});
            ++result.texts;
            Json expected = description.at("results")[i];
            if (expected == Json::array({by_character ? Json("") : Json::array({""}), Json::array({0, 0})})) expected = Json::array({by_character ? Json("") : Json::array(), Json::array()});
            if (found == expected) continue;
            if (++result.different <= 12)
                result.differences.push_back(description.at("normalizer").dump() + " " + description.at("pre_tokenizer").dump() + "\n  text     " + texts[i].dump(-1, ' ', true) +
                                             "\n  expected " + expected.dump(-1, ' ', true) + "\n  found    " + found.dump(-1, ' ', true));
        }
    }
    return result;
}

}  // namespace morsel::test
