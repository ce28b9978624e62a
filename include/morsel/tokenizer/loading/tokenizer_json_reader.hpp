// Reads the text of a tokenizer.json without ever making a tree of its vocabulary: "model.vocab" and "model.merges", which are
// nearly all of the file, go straight into flat arrays; everything else becomes a small JSON tree.
#pragma once
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/core/dtype.hpp"
#include "morsel/core/error.hpp"
#include "morsel/formats/json.hpp"
#include "morsel/tokenizer/models/vocabulary.hpp"

namespace morsel {

struct TokenizerJson {
    Json tree = nullptr;            // without model.vocab and model.merges
    bool has_vocab = false, has_merges = false;
    bool vocab_is_list = false;     // of [token, score] (Unigram), in order of ids
    Vocabulary vocabulary = {};
    std::vector<double> scores = {};           // [id] where vocab_is_list
    std::string merge_text = {};               // the parts of all merges, one after another
    std::vector<std::size_t> merge_ends = {};  // [2 * merges] where each part ends
    std::vector<std::pair<std::string, TokenId>> repeated = {};  // vocabulary keys seen twice, with the last id (at most 100)

    std::size_t merge_count() const noexcept { return merge_ends.size() / 2; }
    std::string_view merge_part(std::size_t i) const noexcept {
        const std::size_t begin = i == 0 ? 0 : merge_ends[i - 1];
        return std::string_view(merge_text).substr(begin, merge_ends[i] - begin);
    }
};

namespace detail {

// A number as the reference reads it: all digits that fit 64 bits as one integer, times or over a power of ten. Its last bit can differ
// from the nearest double's, and decide between two cuts of equal score. `text` is a JSON number; infinite where it is out of range.
inline double reference_number(std::string_view text) {
    std::uint64_t digits = 0;
    std::int64_t exponent = 0;
    bool fraction = false, full = false;
    std::size_t i = text.starts_with('-') ? 1 : 0;
    for (; i < text.size() && text[i] != 'e' && text[i] != 'E'; ++i) {
        if (text[i] == '.') {
            fraction = true;
            continue;
        }
        const auto digit = static_cast<std::uint64_t>(text[i] - '0');
        full = full || digits > (std::numeric_limits<std::uint64_t>::max() - digit) / 10;
        if (!full) digits = digits * 10 + digit, exponent -= fraction;
        else exponent += !fraction;
    }
    if (i < text.size()) {
        const std::size_t sign = text[i + 1] == '+' ? 1 : 0;
        std::int32_t written = 0;
        const auto [end, error] = std::from_chars(text.data() + i + 1 + sign, text.data() + text.size(), written);
        exponent += error == std::errc{} ? written : text[i + 1] == '-' ? -1000000 : 1000000;
    }
    const auto power = [](std::int64_t n) {
        double value = 0;
        const std::string written = "1e" + std::to_string(n);
        std::from_chars(written.data(), written.data() + written.size(), value);
        return value;
    };
    auto value = static_cast<double>(digits);
    for (; exponent < -308 && value != 0; exponent += 308) value /= 1e308;
    if (value != 0) value = exponent > 308 ? std::numeric_limits<double>::infinity() : exponent < 0 ? value / power(-exponent) : value * power(exponent);
    return text.starts_with('-') ? -value : value;
}

class TokenizerJsonHandler final : public nlohmann::json_sax<Json> {
  public:
    TokenizerJsonHandler(TokenizerJson& out, const std::filesystem::path& file, std::string_view source) : out_(out), file_(file), source_(source) {}

    bool null() override {
        if (mode_ == Mode::tree && at_vocab_or_merges()) return true;  // as good as absent
        return scalar(nullptr);
    }
    bool boolean(bool value) override { return scalar(value); }
    bool number_integer(number_integer_t value) override { return scalar(value); }
    bool number_unsigned(number_unsigned_t value) override {
        if (mode_ == Mode::vocab_object) {
            if (value > std::numeric_limits<TokenId>::max()) throw bad("an id below 2^32", std::to_string(value));
            const auto id = static_cast<TokenId>(value);
            if (out_.repeated.size() < 100 && out_.vocabulary.id(key_)) out_.repeated.emplace_back(key_, id);
            out_.vocabulary.add(key_, id);
            return true;
        }
        if (mode_ == Mode::vocab_item) return score(static_cast<double>(value));
        return scalar(value);
    }
    bool number_float(number_float_t value, const string_t& text) override {
        if (mode_ == Mode::vocab_item) return score(reference_number(text));
        if (!std::isfinite(value)) throw bad("a number in range", text);
        return scalar(value);
    }
    bool string(string_t& value) override {
        switch (mode_) {
            case Mode::vocab_item:
                if (item_parts_ != 0) throw bad("[token, score]", "a string");
                out_.vocabulary.add(value, static_cast<TokenId>(out_.scores.size()));
                ++item_parts_;
                return true;
            case Mode::merges: {
                const std::size_t space = value.find(' ');
                if (space == value.npos || value.find(' ', space + 1) != value.npos) throw bad("two tokens with one space between", "'" + value.substr(0, 60) + "'");
                if (pairs_seen_) throw bad("all merges in one form", "a string after an array");
                strings_seen_ = true;
                part(std::string_view(value).substr(0, space));
                part(std::string_view(value).substr(space + 1));
                return true;
            }
            case Mode::merge_item:
                if (++item_parts_ > 2) throw bad("two tokens", "three or more");
                part(value);
                return true;
            default: return scalar(std::move(value));
        }
    }
    bool binary(binary_t&) override { return false; }
    bool start_object(std::size_t) override {
        if (mode_ != Mode::tree) throw bad(wanted(), "an object");
        if (at_model() && key_ == "vocab") {
            begin_vocab(false);
            return true;
        }
        if (at_model() && key_ == "merges") throw bad("an array", "an object");
        return open(Json::object());
    }
    bool start_array(std::size_t) override {
        if (mode_ == Mode::tree && at_model() && key_ == "vocab") return begin_vocab(true), true;
        if (mode_ == Mode::tree && at_model() && key_ == "merges") {
            mode_ = Mode::merges;
            out_.has_merges = true;
            out_.merge_text.clear(), out_.merge_ends.clear();
            strings_seen_ = pairs_seen_ = false;
            return true;
        }
        if (mode_ == Mode::vocab_list) return mode_ = Mode::vocab_item, item_parts_ = 0, true;
        if (mode_ == Mode::merges) {
            if (strings_seen_) throw bad("all merges in one form", "an array after a string");
            pairs_seen_ = true;
            return mode_ = Mode::merge_item, item_parts_ = 0, true;
        }
        if (mode_ != Mode::tree) throw bad(wanted(), "an array");
        return open(Json::array());
    }
    bool key(string_t& value) override {
        key_ = std::move(value);
        return true;
    }
    bool end_object() override { return mode_ == Mode::vocab_object ? (mode_ = Mode::tree, true) : close(); }
    bool end_array() override {
        switch (mode_) {
            case Mode::vocab_item:
                if (item_parts_ != 2) throw bad("[token, score]", "fewer parts");
                return mode_ = Mode::vocab_list, true;
            case Mode::merge_item:
                if (item_parts_ != 2) throw bad("two tokens", std::to_string(item_parts_));
                return mode_ = Mode::merges, true;
            case Mode::vocab_list:
            case Mode::merges: return mode_ = Mode::tree, true;
            default: return close();
        }
    }
    bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& e) override {
        if (e.id == 406) throw Error("number out of range", {.file = file_.string(), .key = line_and_column(source_, position > 0 ? position - 1 : 0)});
        throw Error("not valid JSON", {.file = file_.string(), .key = line_and_column(source_, position > 0 ? position - 1 : 0)});
    }

  private:
    enum class Mode { tree, vocab_object, vocab_list, vocab_item, merges, merge_item };

    Error bad(std::string expected, std::string found) const {
        std::string key = "model.vocab";
        if (mode_ == Mode::vocab_object) key += "['" + key_.substr(0, 60) + "']";
        if (mode_ == Mode::vocab_list || mode_ == Mode::vocab_item) key += '[' + std::to_string(out_.scores.size()) + ']';
        // The parts of an open merge are already among those read.
        const std::size_t parts = out_.merge_ends.size() - (mode_ == Mode::merge_item ? static_cast<std::size_t>(std::min(item_parts_, 2)) : 0);
        if (mode_ == Mode::merges || mode_ == Mode::merge_item) key = "model.merges[" + std::to_string(parts / 2) + ']';
        if (mode_ == Mode::tree) key = at_model() ? "model." + key_ : key_;
        return Error("wrong value", {.file = file_.string(), .key = std::move(key), .expected = std::move(expected), .found = std::move(found)});
    }
    std::string wanted() const {
        return mode_ == Mode::vocab_object ? "an id" : mode_ == Mode::vocab_list || mode_ == Mode::vocab_item ? "[token, score]" : "a merge of two tokens";
    }
    bool at_model() const { return stack_.size() == 2 && keys_.back() == "model" && stack_.back()->is_object(); }
    bool at_vocab_or_merges() const { return at_model() && (key_ == "vocab" || key_ == "merges"); }

    void begin_vocab(bool list) {
        out_.has_vocab = true;
        out_.vocab_is_list = list;
        out_.vocabulary = Vocabulary();
        out_.scores.clear();
        mode_ = list ? Mode::vocab_list : Mode::vocab_object;
    }
    bool score(double value) {
        if (item_parts_ != 1 || !std::isfinite(value)) throw bad("[token, finite score]", std::to_string(value));
        ++item_parts_;
        out_.scores.push_back(value);
        return true;
    }
    void part(std::string_view text) {
        out_.merge_text += text;
        out_.merge_ends.push_back(out_.merge_text.size());
    }

    template <class T> bool scalar(T&& value) {
        if (mode_ == Mode::vocab_item) {
            Json json(std::forward<T>(value));
            if (item_parts_ == 1 && json.is_number()) return score(json.get<double>());
            throw bad("[token, score]", json_text(json));
        }
        if (mode_ != Mode::tree) throw bad(wanted(), json_text(Json(std::forward<T>(value))));
        if (at_vocab_or_merges()) throw bad(key_ == "vocab" ? "an object or an array" : "an array", json_text(Json(std::forward<T>(value))));
        put(Json(std::forward<T>(value)));
        return true;
    }
    Json* put(Json value) {
        if (stack_.empty()) return out_.tree = std::move(value), &out_.tree;
        if (stack_.back()->is_array()) return stack_.back()->push_back(std::move(value)), &stack_.back()->back();
        Json& slot = (*stack_.back())[key_];
        return slot = std::move(value), &slot;
    }
    bool open(Json value) {
        keys_.push_back(stack_.empty() ? std::string() : key_);
        stack_.push_back(put(std::move(value)));
        return true;
    }
    bool close() {
        stack_.pop_back();
        keys_.pop_back();
        return true;
    }

    TokenizerJson& out_;
    std::filesystem::path file_;
    std::string_view source_;
    Mode mode_ = Mode::tree;
    std::vector<Json*> stack_;        // open objects and arrays of the tree; a parent is not touched while a child is open
    std::vector<std::string> keys_;   // the key of each of them
    std::string key_;
    int item_parts_ = 0;
    bool strings_seen_ = false, pairs_seen_ = false;
};

// A JSON object of tokens and ids, and nothing else.
class VocabJsonHandler final : public nlohmann::json_sax<Json> {
  public:
    VocabJsonHandler(Vocabulary& out, const std::filesystem::path& file, std::string_view source) : out_(out), file_(file), source_(source) {}

    bool null() override { throw bad("null"); }
    bool boolean(bool) override { throw bad("a boolean"); }
    bool number_integer(number_integer_t value) override { throw bad(std::to_string(value)); }
    bool number_unsigned(number_unsigned_t value) override {
        if (!open_ || value > std::numeric_limits<TokenId>::max()) throw bad(std::to_string(value));
        out_.add(key_, static_cast<TokenId>(value));
        return true;
    }
    bool number_float(number_float_t, const string_t& text) override { throw bad(text); }
    bool string(string_t& value) override { throw bad("'" + value.substr(0, 60) + "'"); }
    bool binary(binary_t&) override { return false; }
    bool start_object(std::size_t) override {
        if (open_) throw bad("an object");
        return open_ = true;
    }
    bool key(string_t& value) override { return key_ = std::move(value), true; }
    bool end_object() override { return true; }
    bool start_array(std::size_t) override { throw bad("an array"); }
    bool end_array() override { return true; }
    bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
        throw Error("not valid JSON", {.file = file_.string(), .key = line_and_column(source_, position > 0 ? position - 1 : 0)});
    }

  private:
    Error bad(std::string found) const {
        return Error("wrong value", {.file = file_.string(), .key = key_.substr(0, 60), .expected = open_ ? "a token id" : "an object of tokens and ids", .found = std::move(found)});
    }
    Vocabulary& out_;
    std::filesystem::path file_;
    std::string_view source_;
    std::string key_;
    bool open_ = false;
};

}  // namespace detail

// Throws Error with line and column for what is no JSON, and with the key for what is no vocabulary or merge.
inline TokenizerJson read_tokenizer_json(std::string_view text, const std::filesystem::path& file) {
    if (const std::string guess = detail::seems_to_be(text); !guess.empty()) throw Error("not JSON", {.file = file.string(), .found = guess});
    detail::check_json_depth(text, file);
    TokenizerJson out;
    detail::TokenizerJsonHandler handler(out, file, text);
    if (!Json::sax_parse(text, &handler)) throw Error("not valid JSON", {.file = file.string()});
    out.vocabulary.finish();
    return out;
}

}  // namespace morsel
