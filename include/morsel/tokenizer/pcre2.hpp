// Regular expressions by PCRE2, for split patterns and replacements that no scanner knows (pattern.hpp). Needs <pcre2.h> and
// libpcre2-8; the CMake target morsel::pcre2 brings both. Patterns are read as Oniguruma does (oniguruma_syntax.hpp), classes and
// case follow Unicode; just-in-time compiled where the machine allows it. Limits make hostile patterns an Error: never a hang,
// never a stack overflow. Characters are classified by the Unicode version of the PCRE2 in use (10.42: Unicode 14).
#pragma once
#ifndef PCRE2_CODE_UNIT_WIDTH
#define PCRE2_CODE_UNIT_WIDTH 8
#endif
#include <pcre2.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>

#include "morsel/core/error.hpp"
#include "morsel/tokenizer/splitting/oniguruma_syntax.hpp"
#include "morsel/tokenizer/splitting/pattern.hpp"

namespace morsel {

namespace detail {

struct Pcre2Free {
    void operator()(pcre2_code_8* p) const noexcept { pcre2_code_free_8(p); }
    void operator()(pcre2_match_data_8* p) const noexcept { pcre2_match_data_free_8(p); }
    void operator()(pcre2_match_context_8* p) const noexcept { pcre2_match_context_free_8(p); }
};

inline std::string pcre2_message(int code) {
    PCRE2_UCHAR8 text[256] = {};
    pcre2_get_error_message_8(code, text, sizeof text);
    return reinterpret_cast<const char*>(text);
}

// A compiled pattern; const after construction, so threads may share it.
class Pcre2Regex {
  public:
    explicit Pcre2Regex(std::string_view pattern) : source_(pattern) {
        const std::string translated = oniguruma_to_pcre2(pattern);
        int error = 0;
        PCRE2_SIZE where = 0;
        code_.reset(pcre2_compile_8(reinterpret_cast<PCRE2_SPTR8>(translated.data()), translated.size(), PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE, &error,
                                    &where, nullptr));
        if (!code_)
            throw Error("regular expression \"" + source_ + "\" does not compile: " + pcre2_message(error) + " at byte " + std::to_string(where));
        pcre2_jit_compile_8(code_.get(), PCRE2_JIT_COMPLETE);  // without success matching is interpreted
        limits_.reset(pcre2_match_context_create_8(nullptr));
        if (!limits_) throw std::bad_alloc();
        pcre2_set_match_limit_8(limits_.get(), 10'000'000);
        pcre2_set_depth_limit_8(limits_.get(), 100'000);
        pcre2_set_heap_limit_8(limits_.get(), 64 * 1024);  // KiB
    }

    std::optional<Span> find(std::string_view text, std::size_t from) const {
        const std::unique_ptr<pcre2_match_data_8, Pcre2Free> data(pcre2_match_data_create_8(1, nullptr));
        if (!data) throw std::bad_alloc();
        const auto* subject = reinterpret_cast<PCRE2_SPTR8>(text.data() == nullptr ? "" : text.data());
        int result = pcre2_match_8(code_.get(), subject, text.size(), from, PCRE2_NO_UTF_CHECK, data.get(), limits_.get());
        // The machine stack of compiled code is small; the interpreter keeps its state on the heap.
        if (result == PCRE2_ERROR_JIT_STACKLIMIT)
            result = pcre2_match_8(code_.get(), subject, text.size(), from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data.get(), limits_.get());
        if (result == PCRE2_ERROR_NOMATCH) return std::nullopt;
        if (result < 0) throw Error("regular expression \"" + source_ + "\" gave up: " + pcre2_message(result));
        const PCRE2_SIZE* ends = pcre2_get_ovector_pointer_8(data.get());
        return Span{ends[0], ends[1] < ends[0] ? ends[0] : ends[1]};
    }

  private:
    std::string source_;
    std::unique_ptr<pcre2_code_8, Pcre2Free> code_;
    std::unique_ptr<pcre2_match_context_8, Pcre2Free> limits_;
};

}  // namespace detail

// A compiler for PCRE2 patterns. Texts given to what it makes must be valid UTF-8, as AlignedText is.
inline RegexCompiler pcre2_regex() {
    return [](std::string_view pattern) -> CompiledRegex {
        return [regex = std::make_shared<const detail::Pcre2Regex>(pattern)](std::string_view text, std::size_t from) { return regex->find(text, from); };
    };
}

}  // namespace morsel
