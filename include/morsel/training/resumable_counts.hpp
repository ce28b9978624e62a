// Counting that goes on where it was stopped: now and then, and when progress says stop, what was counted is kept beside the table to be, in
// a file of the same format that also tells how far counting came and what it counts (FILE.part). The next call goes on from there. After a
// power cut that is the last time it was kept, and the counts are the same.
#pragma once
#include <sys/stat.h>

#include <charconv>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/core/mapped_file.hpp"
#include "morsel/core/progress.hpp"
#include "morsel/core/threads.hpp"
#include "morsel/training/count_words.hpp"
#include "morsel/training/text_blocks.hpp"
#include "morsel/training/word_table.hpp"

namespace morsel {

namespace detail {

// What is counted, to be compared: how words are split, then each file with its size and the time it was written.
inline std::string description_of_counting(std::span<const std::filesystem::path> files, const std::string& splitting) {
    std::string text = splitting;
    for (const auto& file : files) {
        struct stat status = {};
        if (::stat(file.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) throw Error("only counting of regular files can go on later", {.file = file.string()});
        text += "; " + std::to_string(status.st_size) + " bytes of " + std::to_string(status.st_mtim.tv_sec) + ": " + file.string();
    }
    return text;
}

// The place that a kept table was counted up to, which stands before the description.
inline TextPlace place_in(const std::filesystem::path& part, std::string_view description, std::size_t files) {
    const MappedFile mapped(part);
    const std::string note = WordTableReader(mapped.text(), part).header().splitting;
    TextPlace place;
    const char* const end = note.data() + note.size();
    const auto [at, error] = std::from_chars(note.data(), end, place.file);
    const auto [rest, error2] = at == end ? std::from_chars_result{end, std::errc::invalid_argument} : std::from_chars(at + 1, end, place.byte);
    if (error != std::errc() || error2 != std::errc() || end - rest < 2 || *rest != ';' || place.file > files) throw Error("does not tell how far counting came", {.file = part.string()});
    const std::string_view found(rest + 2, end);
    if (found != description) throw Error("counts of other files, or split otherwise, or files that changed since", {.file = part.string(), .expected = std::string(description), .found = std::string(found)});
    return place;
}

}  // namespace detail

// Counts regular files into a table at `output`, going on from `output`.part where there is one. Gives the number of words. Throws Error as
// count_words does (after "cancelled" the part is there), where the part is damaged or of something else, and where files cannot be written.
inline std::size_t count_words_resumably(std::span<const std::filesystem::path> files, const std::filesystem::path& output, const std::string& splitting, const CountingOptions& options,
                                         ThreadPool& pool, const ProgressCallback& progress = {}, std::chrono::milliseconds interval = std::chrono::minutes(10)) {
    const std::string description = detail::description_of_counting(files, splitting);
    std::vector<std::filesystem::path> parts;  // one, or none yet
    const std::filesystem::path part = output.string() + ".part";
    TextPlace place;
    if (std::filesystem::exists(part)) place = detail::place_in(part, description, files.size()), parts = {part};
    TextBlocks blocks(files, {}, place);
    for (;;) {
        bool cancelled = false, stopped = false;
        const auto since = std::chrono::steady_clock::now();
        const CountedWords words = detail::count_blocks(blocks, options, pool, [&](const Progress& p) {
            cancelled = progress && !progress(p);
            return !cancelled && std::chrono::steady_clock::now() - since < interval;
        }, stopped);
        place = blocks.place();
        if (!cancelled && (!stopped || place.file == files.size())) {
            const std::size_t size = words.save(output, splitting, parts);
            std::error_code ignored;
            std::filesystem::remove(part, ignored);
            return size;
        }
        words.save(part, std::to_string(place.file) + ' ' + std::to_string(place.byte) + "; " + description, parts);
        parts = {part};
        if (cancelled) throw Error("cancelled; what was counted so far is kept", {.file = part.string()});
    }
}

}  // namespace morsel
