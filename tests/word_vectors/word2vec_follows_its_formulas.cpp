// word2vec: steps are along the gradient (finite differences), whole runs equal the plain trainer and gensim where that leaves nothing to chance,
// and from corpora made with a structure it learns that structure, at any number of threads.
#include <cmath>
#include <cstring>
#include <fstream>
#include <functional>
#include <queue>
#include <random>

#include "formats/file_bytes.hpp"
#include "morsel/formats/json.hpp"
#include "morsel/training/word2vec.hpp"
#include "morsel/training/word2vec_plain.hpp"
#include "support/catch.hpp"
#include "support/reference_data.hpp"

using namespace morsel;
using namespace morsel_test;

namespace {

std::vector<Isa> isas() {
    std::vector<Isa> all{Isa::generic};
    for (const Isa isa : {Isa::avx2, Isa::avx512})
        if (detected_isa() >= isa) all.push_back(isa);
    return all;
}

std::vector<std::vector<std::string>> random_sentences(std::uint32_t seed, std::size_t sentences, std::size_t words) {
    std::mt19937 random(seed);
    std::vector<std::vector<std::string>> all(sentences);
    for (auto& sentence : all)
        for (std::size_t n = random() % 12; n > 0; --n) sentence.push_back("w" + std::to_string(random() % (1 + random() % words)));
    return all;
}

// Sentences of eight kinds; each draws from twelve words of its kind and from twelve that all share. Word "k3_7" is of kind 3.
std::vector<std::vector<std::string>> sentences_of_kinds(std::uint32_t seed, std::size_t sentences) {
    std::mt19937 random(seed);
    std::vector<std::vector<std::string>> all(sentences);
    for (auto& sentence : all) {
        const std::size_t kind = random() % 8;
        for (int i = 0; i < 10; ++i) sentence.push_back(random() % 3 == 0 ? "shared" + std::to_string(random() % 12) : "k" + std::to_string(kind) + '_' + std::to_string(random() % 12));
    }
    return all;
}

// Of the ten words most like each word of a kind, the share that is of the same kind.
double purity(const WordVectors& vectors) {
    std::size_t right = 0, all = 0;
    for (const std::string& word : vectors.words()) {
        if (word[0] != 'k') continue;
        for (const SimilarWord& near : most_similar(vectors, {.positive = {word}})) right += near.word.substr(0, 3) == word.substr(0, 3), ++all;
    }
    return static_cast<double>(right) / static_cast<double>(all);
}

// Words of ten entities in two forms, "e3_a" and "e3_b", each among words of its entity and of its form.
std::vector<std::vector<std::string>> sentences_of_forms(std::uint32_t seed, std::size_t sentences) {
    std::mt19937 random(seed);
    std::vector<std::vector<std::string>> all(sentences);
    for (auto& sentence : all) {
        const std::string entity = std::to_string(random() % 10), form = random() % 2 ? "a" : "b";
        for (int i = 0; i < 2; ++i) {
            sentence.push_back("of_" + entity + '_' + std::to_string(random() % 4));
            sentence.push_back("of_" + form + '_' + std::to_string(random() % 4));
            sentence.push_back("e" + entity + '_' + form);
        }
    }
    return all;
}

double sum_of_squares(const std::vector<double>& values) {
    double sum = 0;
    for (const double value : values) sum += value * value;
    return sum;
}

}  // namespace

TEST_CASE("a step is along the gradient, for every instruction set") {
    std::mt19937 random(3);
    std::normal_distribution<double> normal;
    for (const Isa isa : isas())
        for (const std::size_t stride : {16u, 48u, 112u, 304u})
            for (const std::size_t count : {1u, 2u, 3u, 5u, 6u, 7u, 16u, 17u, 70u}) {
                const std::size_t rows = 2 * count + 3, room = (count + detail::row_grain - 1) / detail::row_grain * detail::row_grain;
                CpuBuffer x(stride), error(stride), weights(rows * stride);
                for (std::size_t i = 0; i < stride; ++i) x.data()[i] = static_cast<float>(normal(random) / std::sqrt(stride)), error.data()[i] = 1e9f;
                for (std::size_t i = 0; i < rows * stride; ++i) weights.data()[i] = static_cast<float>(normal(random));
                std::vector<std::uint32_t> targets(rows);
                for (std::size_t i = 0; i < rows; ++i) targets[i] = static_cast<std::uint32_t>(i);
                std::shuffle(targets.begin(), targets.end(), random);
                targets.resize(room);
                std::vector<float> rates(room), gradients(room), labels(room);
                for (std::size_t t = 0; t < count; ++t) rates[t] = 0.01f * static_cast<float>(1 + t % 3), labels[t] = gradients[t] = static_cast<float>(random() % 2);
                const std::vector<double> x0(x.data(), x.data() + stride);
                std::vector<double> expected(weights.data(), weights.data() + rows * stride), expected_error(stride);
                // Σ rate · log σ(±x · w), and its slope by central differences
                const auto gain = [&](std::size_t t, const std::vector<double>& at, const double* w) {
                    double product = 0;
                    for (std::size_t i = 0; i < stride; ++i) product += at[i] * w[i];
                    return -double{rates[t]} * std::log1p(std::exp(labels[t] == 1 ? -product : product));
                };
                const std::vector<double> before = expected;
                constexpr double h = 1e-5;
                for (std::size_t t = 0; t < count; ++t) {
                    std::vector<double> w(before.begin() + static_cast<std::ptrdiff_t>(targets[t] * stride), before.begin() + static_cast<std::ptrdiff_t>((targets[t] + 1) * stride)), moved = x0;
                    for (std::size_t i = 0; i < stride; ++i) {
                        const double value = w[i], here = x0[i];
                        w[i] = value + h;
                        const double up = gain(t, x0, w.data());
                        w[i] = value - h;
                        expected[targets[t] * stride + i] += (up - gain(t, x0, w.data())) / (2 * h);
                        w[i] = value;
                        moved[i] = here + h;
                        const double up_x = gain(t, moved, w.data());
                        moved[i] = here - h;
                        expected_error[i] += (up_x - gain(t, moved, w.data())) / (2 * h);
                        moved[i] = here;
                    }
                }
                detail::word2vec_kernels(isa).step(x.data(), error.data(), weights.data(), stride, {count, targets.data(), rates.data(), gradients.data()});
                double worst = 0;
                for (std::size_t i = 0; i < rows * stride; ++i) worst = std::max(worst, std::abs(weights.data()[i] - expected[i]));
                for (std::size_t i = 0; i < stride; ++i) worst = std::max(worst, std::abs(error.data()[i] - expected_error[i]) / static_cast<double>(count));
                INFO("isa " << static_cast<int>(isa) << " stride " << stride << " count " << count);
                CHECK(worst < 1e-6);
            }
}

TEST_CASE("the plain trainer goes down the gradient of its loss") {
    std::mt19937 random(5);
    std::normal_distribution<double> normal;
    for (const bool mean : {true, false}) {
        PlainWord2Vec model{.dimension = 6};
        for (int i = 0; i < 8 * 6; ++i) model.input.push_back(normal(random)), model.output.push_back(normal(random));
        for (const std::vector<std::uint32_t>& inputs : {std::vector<std::uint32_t>{2}, {1, 5, 7}}) {
            const PlainPrediction p{inputs, {3, 0, 6}, {1, 0, 0}};
            const auto slope = [&](double& value) {
                const double before = value, h = 1e-5;
                value = before + h;
                const double up = model.loss(p, mean);
                value = before - h;
                const double down = model.loss(p, mean);
                value = before;
                return (up - down) / (2 * h);
            };
            constexpr double alpha = 1e-3;
            PlainWord2Vec exact = model, usual = model;
            exact.learn(p, mean, true, alpha), usual.learn(p, mean, false, alpha);
            const double n = static_cast<double>(inputs.size());
            for (std::size_t i = 0; i < model.input.size(); ++i) {
                const double down = -alpha * slope(model.input[i]);
                CHECK(std::abs(exact.input[i] - model.input[i] - down) < 1e-9);
                CHECK(std::abs(usual.input[i] - model.input[i] - (mean ? n * down : down / n)) < 1e-9);  // gensim's way
                CHECK(std::abs(exact.output[i] - model.output[i] + alpha * slope(model.output[i])) < 1e-9);
                CHECK(exact.output[i] == usual.output[i]);
            }
        }
    }
}

TEST_CASE("one thread gives what the plain trainer gives, and the same bits every time") {
    const WordSequences corpus = word_sequences(random_sentences(7, 420, 60), {.min_count = 2});
    REQUIRE(corpus.ids.size() > 1500);  // several parts
    std::size_t seen = 0;
    for (const Word2VecModel model : {Word2VecModel::skip_gram, Word2VecModel::cbow})
        for (const bool tree : {false, true})
            for (const std::size_t negative : {0u, 1u, 5u, 20u})
                for (const bool other : {false, true}) {
                    if (!tree && negative == 0) continue;
                    Word2VecOptions options{.model = model, .dimension = negative == 5 ? 40u : 7u, .window = other ? 2u : 6u, .shrink_windows = !other, .negative = negative, .hierarchical_softmax = tree};
                    options.sample = other ? 0 : 2e-2, options.cbow_mean = !other, options.exact_cbow_gradient = negative == 1, options.alpha = 0.05, options.epochs = 2, options.seed = 11 + seen++;
                    const PlainWord2Vec plain = train_word2vec_plain(corpus, options);
                    for (const Isa isa : isas()) {
                        Cpu device({.threads = 1, .isa = isa});
                        const WordVectors got = train_word2vec(device, corpus, options);
                        CHECK(got.words() == corpus.words);
                        CHECK(got.counts() == corpus.counts);
                        REQUIRE(got.values().size() == plain.input.size());
                        std::vector<double> difference;
                        for (std::size_t i = 0; i < plain.input.size(); ++i) difference.push_back(double{got.values()[i]} - plain.input[i]);
                        INFO("case " << seen << " isa " << static_cast<int>(isa));
                        CHECK(sum_of_squares(difference) < 1e-10 * sum_of_squares(plain.input));
                        if (isa != isas().back()) continue;
                        const WordVectors again = train_word2vec(device, corpus, options);
                        CHECK(std::memcmp(again.values().data(), got.values().data(), got.values().size_bytes()) == 0);
                    }
                }
    CHECK(seen == 28);
    Cpu device({.threads = 1});
    const WordVectors a = train_word2vec(device, corpus, {.dimension = 8, .seed = 1}), b = train_word2vec(device, corpus, {.dimension = 8, .seed = 2});
    CHECK(std::memcmp(a.values().data(), b.values().data(), a.values().size_bytes()) != 0);
}

TEST_CASE("without chance training gives gensim's vectors") {
    // gensim's sigmoid: a table of 1000 steps from -6 to 6, into which it looks 83 times x + 6 in place of 83 1/3 times
    const auto looked_up = [](double x) { return 1 / (1 + std::exp(-(std::floor((x + 6) * 83) / 1000 * 2 - 1) * 6)); };
    const Json expected = parse_json_file(test_data() / "word_vectors/gensim.json");
    const auto sentences = expected.at("sentences").get<std::vector<std::vector<std::string>>>();
    const WordSequences corpus = word_sequences(sentences, {.min_count = 2});
    std::size_t seen = 0;
    const Json& cases = expected.at("trained");
    for (const Json& one : cases) {
        Word2VecOptions options{.model = one.at("skip_gram") == 1 ? Word2VecModel::skip_gram : Word2VecModel::cbow, .dimension = 10, .window = 2, .shrink_windows = false, .negative = 0, .hierarchical_softmax = true};
        options.sample = 0, options.cbow_mean = one.at("cbow_mean") == 1, options.alpha = 0.2, options.min_alpha = 0.05, options.epochs = 3, options.seed = 9;
        const PlainWord2Vec got = train_word2vec_plain(corpus, options, looked_up);
        for (std::size_t word = 0; word < corpus.words.size(); ++word)
            for (std::size_t i = 0; i < 10; ++i, ++seen) CHECK(std::abs(got.input[word * 10 + i] - one.at("vectors").at(corpus.words[word]).at(i).get<double>()) < 1e-4);
    }
    CHECK(seen == 3 * 8 * 10);
}

TEST_CASE("vocabulary, subsampling and negative samples are gensim's") {
    const Json expected = parse_json_file(test_data() / "word_vectors/gensim.json");
    const auto sentences = expected.at("sentences").get<std::vector<std::vector<std::string>>>();
    std::size_t seen = 0;
    const Json& cases = expected.at("vocabularies");
    for (const Json& one : cases) {
        const Json& asked = one.at("options");
        WordSequenceOptions limits{.min_count = asked.at("min_count").get<std::uint64_t>()};
        if (asked.contains("max_final_vocab")) limits.max_vocab = asked.at("max_final_vocab").get<std::size_t>();
        const WordSequences corpus = word_sequences(sentences, limits);
        CHECK(corpus.words == one.at("words").get<std::vector<std::string>>());
        CHECK(corpus.counts == one.at("counts").get<std::vector<std::uint64_t>>());
        Word2VecOptions options{.dimension = 4};
        options.sample = asked.value("sample", 0.0), options.ns_exponent = asked.value("ns_exponent", 0.75);
        const detail::Word2VecState state = detail::word2vec_state(corpus, options);
        std::vector<double> drawn(corpus.words.size());
        constexpr std::uint32_t draws = 1 << 20;
        for (std::uint32_t i = 0; i < draws; ++i) drawn.at(state.negatives(i << 12 | 0x800)) += 1.0 / draws;
        for (std::size_t i = 0; i < corpus.words.size(); ++i, ++seen) {
            CHECK(std::abs(drawn[i] - one.at("negative").at(i).get<double>()) < 1e-5);
            if (!one.at("keep").is_null()) CHECK(std::abs(state.keep[i] * 0x1p-32 - one.at("keep").at(i).get<double>()) < 1e-6);
        }
    }
    CHECK(seen == 8 + 9 + 4);
    CHECK(detail::learning_rate({}, 0) == 0.025);
    CHECK(std::abs(detail::learning_rate({}, 0.5) - 0.01255) < 1e-12);
    CHECK(std::abs(detail::learning_rate({}, 1) - 0.0001) < 1e-12);
}

TEST_CASE("an alias table draws by weight") {
    CHECK_THROWS_AS(AliasTable(std::vector<double>{}), Error);
    CHECK_THROWS_AS(AliasTable(std::vector<double>{0, 0}), Error);
    CHECK_THROWS_AS(AliasTable(std::vector<double>{1, -1}), Error);
    CHECK_THROWS_AS(AliasTable(std::vector<double>{1, NAN}), Error);
    std::mt19937 random(2);
    for (const std::size_t size : {1u, 2u, 3u, 100u, 4099u}) {
        std::vector<double> weights;
        double sum = 0;
        for (std::size_t i = 0; i < size; ++i) weights.push_back(i % 5 == 1 ? 0 : std::exp(static_cast<double>(random() % 1000) / 100)), sum += weights.back();
        const AliasTable table(weights);
        std::vector<double> drawn(size);
        PhiloxStream bits(4, size);
        constexpr int draws = 400000;
        for (int i = 0; i < draws; ++i) ++drawn.at(table(bits.next()));
        double chi_square = 0;
        for (std::size_t i = 0; i < size; ++i) {
            const double expected = draws * weights[i] / sum;
            if (weights[i] == 0) CHECK(drawn[i] == 0);
            else chi_square += (drawn[i] - expected) * (drawn[i] - expected) / expected;
        }
        CHECK(chi_square < static_cast<double>(size) + 6 * std::sqrt(2.0 * static_cast<double>(size)));
    }
}

TEST_CASE("the tree of hierarchical softmax is Huffman's") {
    std::mt19937 random(9);
    for (const std::size_t words : {1u, 2u, 3u, 10u, 1000u})
        for (const bool flat : {false, true}) {
            std::vector<std::uint64_t> counts;
            for (std::size_t i = 0; i < words; ++i) counts.push_back(flat ? 5 : 1 + random() % (1 + random() % 100000));
            const HuffmanPaths paths = huffman_paths(counts);
            std::priority_queue<std::uint64_t, std::vector<std::uint64_t>, std::greater<>> heap(counts.begin(), counts.end());
            std::uint64_t best = 0, cost = 0;  // Σ count · length: the least there is
            while (heap.size() > 1) {
                std::uint64_t sum = heap.top();
                heap.pop();
                sum += heap.top();
                heap.pop();
                heap.push(sum), best += sum;
            }
            std::vector<std::pair<std::uint32_t, std::uint8_t>> leaves;
            for (std::size_t i = 0; i < words; ++i) {
                cost += counts[i] * paths.nodes_of(i).size();
                REQUIRE(paths.nodes_of(i).size() == paths.turns_of(i).size());
                if (words > 1) CHECK(paths.nodes_of(i)[0] == words - 2);  // from the root
                if (words > 1) leaves.emplace_back(paths.nodes_of(i).back(), paths.turns_of(i).back());
            }
            CHECK(cost == best);
            std::sort(leaves.begin(), leaves.end());
            CHECK(std::adjacent_find(leaves.begin(), leaves.end()) == leaves.end());
        }
    CHECK(huffman_paths({}).begins.size() == 1);
    // a tree as deep as it gets
    std::vector<std::uint64_t> fibonacci{1, 1};
    while (fibonacci.size() < 80) fibonacci.push_back(fibonacci.back() + fibonacci[fibonacci.size() - 2]);
    CHECK(huffman_paths(fibonacci).nodes_of(0).size() == 79);
}

TEST_CASE("words of a kind come together, however they are trained and by however many threads") {
    const WordSequences corpus = word_sequences(sentences_of_kinds(1, 2000));
    for (const Word2VecModel model : {Word2VecModel::skip_gram, Word2VecModel::cbow})
        for (const bool tree : {false, true})
            for (const unsigned threads : {1u, 4u}) {
                Cpu device({.threads = threads});
                Word2VecOptions options{.model = model, .dimension = 32, .negative = tree ? 0u : 5u, .hierarchical_softmax = tree};
                options.sample = 0, options.alpha = model == Word2VecModel::cbow ? 0.1 : 0.05;
                INFO((model == Word2VecModel::cbow ? "cbow" : "skip-gram") << (tree ? ", tree, " : ", negative samples, ") << threads << " threads");
                CHECK(purity(train_word2vec(device, corpus, options)) > 0.95);
            }
    Cpu device({.threads = 1});
    CHECK(purity(train_word2vec(device, corpus, {.dimension = 32, .epochs = 0})) < 0.3);  // untrained, for scale
}

TEST_CASE("what two forms of a word have in common becomes a direction") {
    const WordSequences corpus = word_sequences(sentences_of_forms(1, 4000));
    Cpu device({.threads = 1});
    Word2VecOptions options{.model = Word2VecModel::skip_gram, .dimension = 24};
    options.sample = 0, options.alpha = 0.05, options.epochs = 8;
    const WordVectors vectors = train_word2vec(device, corpus, options);
    int right = 0, asked = 0;
    for (int i = 0; i < 10; ++i)
        for (int j = 0; j < 10; ++j) {
            if (i == j) continue;
            const std::string a = "e" + std::to_string(i), b = "e" + std::to_string(j);
            right += analogy(vectors, a + "_a", a + "_b", b + "_a", 1)[0].word == b + "_b", ++asked;
        }
    CHECK(right > 0.9 * asked);
}

TEST_CASE("files give the sequences that memory gives, at any number of threads") {
    const TemporaryDirectory directory;
    const auto path = directory.path() / "corpus.txt";
    std::mt19937 random(4);
    const std::vector<std::string> words{"the", "größe", "東京", "averylongwordindeedyes", "a", "b,", "c-d"}, spaces{" ", "\t", "  ", "\u00a0", "\u3000", "\u2009", " \v"};
    std::vector<std::vector<std::string>> sentences;
    std::string text;
    while (text.size() < 1'200'000) {
        auto& sentence = sentences.emplace_back();
        for (std::size_t n = random() % 20; n > 0; --n) {
            sentence.push_back(words[random() % words.size()] + (random() % 4 == 0 ? std::to_string(random() % 3000) : ""));
            text += (random() % 8 == 0 ? spaces[random() % spaces.size()] : "") + sentence.back() + spaces[random() % spaces.size()];
        }
        text += random() % 2 ? "\n" : "\r\n";
    }
    std::ofstream(path, std::ios::binary) << text << text;
    const auto once = sentences;
    sentences.insert(sentences.end(), once.begin(), once.end());
    const WordSequenceOptions limits{.min_count = 9, .max_vocab = 4000, .max_length = 7};
    const WordSequences expected = word_sequences(sentences, limits);
    const std::vector<std::filesystem::path> files{path};
    for (const unsigned threads : {1u, 3u}) {
        ThreadPool pool(threads);
        const WordSequences got = read_word_sequences(files, pool, limits);
        CHECK(got.words == expected.words);
        CHECK(got.counts == expected.counts);
        CHECK((got.ids == expected.ids && got.begins == expected.begins));
        WordSplitting lower = white_space_splitting();
        lower.normalizer.emplace().steps.emplace_back(LowercaseNormalizer{});
        CHECK(read_word_sequences(files, pool, limits, lower).ids == expected.ids);  // the way by the pre-tokenizer
        CHECK_THROWS_WITH(read_word_sequences(files, pool, limits, {{}, PreTokenizer{{ByteLevelPreTokenizer{false}}}}), "pre_tokenizer: word vectors need words, not bytes (expected one that is not byte-level)");
        for (const std::string_view phase : {"count", "encode"})
            CHECK_THROWS_WITH(read_word_sequences(files, pool, limits, white_space_splitting(), [&](const Progress& p) { return p.phase != phase; }), "cancelled");
    }
    for (std::size_t i = 0; i < expected.size(); ++i) REQUIRE((expected.begins[i + 1] - expected.begins[i] <= 7 && expected.begins[i + 1] > expected.begins[i]));
    CHECK(word_sequences(std::vector<std::vector<std::string>>{{"ice cream", "", "ice cream", "\n"}}, {.min_count = 2}).words == std::vector<std::string>{"ice cream"});
    CHECK_THROWS_WITH(word_sequences(std::vector<std::vector<std::string>>{{"a", "b"}}), "no words to train on (expected a word that occurs 5 times or more, found 2 different words)");
    const std::vector<std::filesystem::path> device{"/dev/null"};
    ThreadPool one(1);
    CHECK_THROWS_WITH(read_word_sequences(device, one), "/dev/null: not a regular file: the corpus is read twice");
    std::ofstream(path, std::ios::binary) << "good line\nbad \xff line\n";
    ThreadPool pool(1);
    CHECK_THROWS_AS(read_word_sequences(files, pool), Error);
}

TEST_CASE("training reports where it is, stops when told to and refuses what makes no sense") {
    const WordSequences corpus = word_sequences(random_sentences(3, 2000, 50));
    for (const unsigned threads : {1u, 3u}) {
        Cpu device({.threads = threads});
        std::size_t calls = 0, last = 0;
        train_word2vec(device, corpus, {.dimension = 8, .epochs = 3}, [&](const Progress& p) {
            CHECK(p.phase == "train");
            CHECK(p.total == 3 * corpus.ids.size());
            CHECK((p.done > last && p.done <= p.total));
            last = p.done, ++calls;
            return true;
        });
        CHECK((calls > 0 && last == 3 * corpus.ids.size()));
        CHECK_THROWS_WITH(train_word2vec(device, corpus, {.dimension = 8, .epochs = 1000000}, [&](const Progress& p) { return p.done < p.total / 1000000; }), "cancelled");
    }
    Cpu device({.threads = 1});
    const auto key = [&](const Word2VecOptions& options) {
        try {
            train_word2vec(device, corpus, options);
            return std::string("no error");
        } catch (const Error& e) { return e.key(); }
    };
    CHECK(key({.dimension = 0}) == "dimension");
    CHECK(key({.dimension = 70000}) == "dimension");
    CHECK(key({.window = 0}) == "window");
    CHECK(key({.negative = 0}) == "negative");
    CHECK(key({.ns_exponent = NAN}) == "ns_exponent");
    CHECK(key({.sample = 1}) == "sample");
    CHECK(key({.alpha = 0}) == "alpha");
    CHECK(key({.alpha = NAN}) == "alpha");
    CHECK(key({.min_alpha = 0.1}) == "min_alpha");
    CHECK_THROWS_AS(train_word2vec(device, {}), Error);
    const WordSequences one = word_sequences(std::vector<std::vector<std::string>>{{"a", "a", "a"}}, {.min_count = 1});
    CHECK(train_word2vec(device, one, {.negative = 3, .hierarchical_softmax = true}).size() == 1);  // no other word to draw, no node in the tree
}
