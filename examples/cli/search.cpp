// morsel search: ranks the lines of text files by how close their meaning is to a query's. The vectors of the lines can be kept in an index
// file, so that the next search only embeds its query.
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "commands.hpp"
#include "embedder.hpp"
#include "morsel/core/mapped_file.hpp"
#include "morsel/search/vector_index.hpp"

namespace cli {
namespace {

using namespace morsel;

struct Line {
    std::size_t file = 0, number = 0;  // number: from 1
};

struct Corpus {
    std::vector<std::string> files = {}, texts = {};  // texts: the lines that are not empty
    std::vector<Line> lines = {};                     // where each text stands
};

Corpus read_corpus(const std::vector<std::string>& files) {
    Corpus corpus = {.files = files};
    for (std::size_t f = 0; f < files.size(); ++f) {
        const std::string text = read_file(files[f]);
        for (std::size_t begin = 0, number = 1; begin < text.size(); ++number) {
            const std::size_t end = std::min(text.find('\n', begin), text.size());
            if (text.find_first_not_of(" \t\r\f\v", begin) < end) corpus.texts.push_back(text.substr(begin, end - begin)), corpus.lines.push_back({f, number});
            begin = end + 1;
        }
    }
    return corpus;
}

// FNV-1a of all texts and the options that change their vectors: an index made from others is not used.
std::uint64_t tag_of(const Corpus& corpus, const Arguments& arguments) {
    std::uint64_t hash = 0xcbf29ce484222325;
    const auto add = [&](const std::string& text) {
        for (const char c : text + '\n') hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    };
    for (const char* option : {"--model", "--pooling", "--prompt", "--prompt-name", "--max-length"}) add(arguments.text(option));
    for (const std::string& text : corpus.texts) add(text);
    return hash;
}

VectorStorage storage_of(const Arguments& arguments) {
    const std::string name = arguments.choice("--storage", {"f32", "f16", "i8"});
    return name == "f16" ? VectorStorage::f16 : name == "f32" ? VectorStorage::f32 : VectorStorage::i8;
}

// Writes the index part by part, so that it may be larger than memory.
void build(Embedder& embedder, const Corpus& corpus, const std::filesystem::path& path, VectorStorage storage, std::uint64_t tag) {
    VectorIndexWriter writer(path, embedder.dimensions(), storage);
    const std::string prompt = embedder.first_prompt({"document", "passage", "corpus"});
    constexpr std::size_t part = 65536;  // lines
    for (std::size_t at = 0; at < corpus.texts.size(); at += part)
        writer.add(embedder.embed(std::span(corpus.texts).subspan(at, std::min(part, corpus.texts.size() - at)), prompt).values);
    writer.commit(tag);
}

void print_hits(const std::string& query, const std::vector<SearchHit>& hits, const Corpus& corpus, bool as_json, bool many) {
    const auto place = [&](const SearchHit& hit) -> const Line& { return corpus.lines[hit.row]; };
    if (as_json) {
        nlohmann::ordered_json json = {{"query", query}, {"hits", nlohmann::json::array()}};
        for (const SearchHit& hit : hits)
            json["hits"].push_back({{"score", hit.score}, {"file", corpus.files[place(hit).file]}, {"line", place(hit).number}, {"text", corpus.texts[hit.row]}});
        std::puts(json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace).c_str());
        return;
    }
    if (many) std::printf("%s\n", query.c_str());
    for (const SearchHit& hit : hits)
        std::printf("%s%.4f  %s:%zu  %s\n", many ? "  " : "", static_cast<double>(hit.score), corpus.files[place(hit).file].c_str(), place(hit).number, corpus.texts[hit.row].c_str());
}

int run_search(const Arguments& arguments) {
    const bool as_json = arguments.choice("--format", {"text", "json"}) == "json";
    const VectorStorage storage = storage_of(arguments);
    const std::size_t count = arguments.number<std::size_t>("--top-k").value_or(5);
    if (arguments.text("--pooling") == "none") throw UsageError("--pooling cannot be 'none'");
    const Corpus corpus = read_corpus(arguments.texts("--files"));
    if (corpus.texts.empty()) throw Error("there is no line to search", {.file = corpus.files.front()});
    const std::vector<std::string> queries = arguments.has("--query") ? arguments.texts("--query") : input_lines();
    Embedder embedder(arguments);

    std::optional<VectorIndex> index;
    const std::uint64_t tag = tag_of(corpus, arguments);
    if (const std::filesystem::path path = arguments.text("--index"); path.empty()) {
        index.emplace(embedder.embed(corpus.texts, embedder.first_prompt({"document", "passage", "corpus"})).values, embedder.dimensions(), storage);
    } else {
        if (std::filesystem::exists(path)) index.emplace(path);
        if (!index || index->tag() != tag || index->storage() != storage) {
            if (index) std::fprintf(stderr, "morsel: %s: made from other lines or settings; it is made anew\n", path.string().c_str());
            index.reset();
            build(embedder, corpus, path, storage, tag);
            index.emplace(path);
        }
        if (index->dimensions() != embedder.dimensions() || index->size() != corpus.texts.size())
            throw Error("the index is of another model", {.file = path.string(), .expected = std::to_string(corpus.texts.size()) + " rows of " + std::to_string(embedder.dimensions()) + " dimensions",
                                                          .found = std::to_string(index->size()) + " of " + std::to_string(index->dimensions())});
    }
    if (queries.empty()) return 0;
    ThreadPool pool(arguments.number<unsigned>("--threads").value_or(0));
    const auto hits = index->search_all(embedder.embed(queries, embedder.first_prompt({"query"})).values, count, &pool);
    for (std::size_t q = 0; q < queries.size(); ++q) print_hits(queries[q], hits[q], corpus, as_json, queries.size() > 1);
    return 0;
}

}  // namespace

Command search_command() {
    return {"search", "Rank the lines of text files by their similarity to queries: those of --query, or the lines of stdin.", "",
            with_embedding_options({{"--files", "F…", "text files, a text a line; empty lines are passed over", true},
                                    {"--query", "TEXT…", "what to look for; without it queries are read from stdin, one a line"},
                                    {"--top-k", "N", "hits a query (default 5)"},
                                    {"--index", "FILE", "keeps the lines' vectors; made where it is not there or not of these lines"},
                                    {"--storage", "KIND", "of the vectors: f32 (default), f16 or i8, a half and a quarter of the size"},
                                    {"--format", "KIND", "text (default), or json: an object a query"}}),
            run_search};
}

}  // namespace cli
