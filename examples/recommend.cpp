// Recommends items from what people looked at in one session: a session is a sentence, an item a word, and word2vec learns which items keep
// the same company. Popular items are drawn less often as negatives here (ns_exponent below 0.75), and sessions have no order to speak of, so
// the window is wide: H. Caselles-Dupré et al., "Word2vec applied to recommendation: hyperparameters matter", 2018.
//   morsel-example-recommend [FILE ITEM…]     a session a line, items between spaces; what goes with all of the items
// Without arguments: made-up sessions of a shop, and how often the item that was left out of a session is among the first ten.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <morsel/training/word2vec.hpp>
#include <random>
#include <string>
#include <vector>

namespace {

using Session = std::vector<std::string>;

// Visitors who look for something, a tent or a saucepan, and now and then at something else.
std::vector<Session> made_up(std::uint32_t seed, std::size_t count) {
    const std::vector<std::string> aims{"tent", "saucepan", "bicycle", "novel", "guitar"};
    std::mt19937 random(seed);
    std::vector<Session> sessions(count);
    for (Session& session : sessions) {
        const std::string& aim = aims[random() % aims.size()];
        for (std::size_t n = 4 + random() % 5; n > 0; --n) {
            const std::string& kind = random() % 8 == 0 ? aims[random() % aims.size()] : aim;
            std::string item = kind + std::to_string(std::min(random() % 20, random() % 20));  // low numbers are popular
            if (std::find(session.begin(), session.end(), item) == session.end()) session.push_back(std::move(item));
        }
    }
    return sessions;
}

std::vector<morsel::SimilarWord> recommend(const morsel::WordVectors& items, const Session& seen, std::size_t count) {
    morsel::SimilarWordsQuery query{.count = count};
    for (const std::string& item : seen)
        if (items.find(item)) query.positive.emplace_back(item);
    return query.positive.empty() ? std::vector<morsel::SimilarWord>() : most_similar(items, query);
}

}  // namespace

int main(int argc, char** argv) try {
    morsel::Cpu device;
    morsel::Word2VecOptions options{.model = morsel::Word2VecModel::skip_gram, .dimension = 32, .window = 50, .shrink_windows = false, .ns_exponent = 0.5};
    options.sample = 0, options.alpha = 0.05, options.epochs = 10;
    if (argc > 2) {
        const std::vector<std::filesystem::path> files{argv[1]};
        const morsel::WordVectors items = train_word2vec(device, morsel::read_word_sequences(files, device.pool(), {.min_count = 2}), options);
        for (const auto& item : recommend(items, Session(argv + 2, argv + argc), 10)) std::printf("%.*s %.3f\n", static_cast<int>(item.word.size()), item.word.data(), item.similarity);
        return 0;
    }
    const morsel::WordVectors items = train_word2vec(device, morsel::word_sequences(made_up(1, 5000)), options);
    std::printf("tent0 and tent3 go with:\n");
    for (const auto& item : recommend(items, {"tent0", "tent3"}, 5)) std::printf("    %-12.*s %.3f\n", static_cast<int>(item.word.size()), item.word.data(), item.similarity);
    std::size_t found = 0, asked = 0;
    for (Session& session : made_up(2, 1000)) {
        const std::string left_out = session.back();
        session.pop_back();
        const auto offered = recommend(items, session, 10);
        found += std::any_of(offered.begin(), offered.end(), [&](const auto& item) { return item.word == left_out; }), ++asked;
    }
    std::printf("the item left out is among ten recommended: %.1f %% of %zu sessions (by chance: %.1f %%)\n", 100.0 * static_cast<double>(found) / static_cast<double>(asked), asked, 1000.0 / static_cast<double>(items.size()));
    return 0;
} catch (const std::exception& e) {
    return std::fprintf(stderr, "%s\n", e.what()), 1;
}
