// Run by several ranks: the counts of all parts together are those of one machine, and where a rank fails all of them say so.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "morsel/mpi.hpp"

using namespace morsel;

namespace {

std::map<std::string, std::uint64_t> as_map(const WordCounts& counts) {
    std::map<std::string, std::uint64_t> out;
    counts.for_each([&](std::string_view word, std::uint64_t count) { out[std::string(word)] += count; });
    return out;
}

int failures = 0;
void check(bool right, const char* what) {
    if (!right) ++failures, std::fprintf(stderr, "FAILED: %s\n", what);
}

}  // namespace

int main(int argc, char** argv) {
    MPI_Init(&argc, &argv);
    int rank = 0, size = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank), MPI_Comm_size(MPI_COMM_WORLD, &size);
    const std::filesystem::path file = std::filesystem::temp_directory_path() / ("morsel_mpi_" + std::string(argv[1])), bad = file.string() + "_bad";
    if (rank == 0) {
        std::mt19937 random(1);
        std::ofstream out(file, std::ios::binary), broken(bad, std::ios::binary);
        for (int i = 0; i < 300000; ++i) out << "word" << random() % 5000 << (random() % 9 == 0 ? "\n" : " ");
        for (int i = 0; i < 1000; ++i) broken << (i == 10 ? "\xff\n" : "good line\n");
    }
    MPI_Barrier(MPI_COMM_WORLD);
    ThreadPool pool(1);
    const std::vector<std::filesystem::path> files{file, file};
    for (const WordSplitting& splitting : {WordSplitting{{}, PreTokenizer{{WhitespaceSplitPreTokenizer{}}}}, WordSplitting{{}, PreTokenizer{{ByteLevelPreTokenizer{false}}}}}) {
        const WordCounts together = count_files_mpi(files, {.splitting = splitting, .memory = 1 << 20}, pool);
        if (rank == 0) check(as_map(together) == as_map(count_files(files, splitting, pool)), "the sum of all ranks is the whole");
        else check(together.size() == 0, "only rank 0 has the sum");
    }
    try {
        count_files_mpi(std::vector{bad}, {}, pool);
        check(false, "bytes that are no UTF-8 are an error on all ranks");
    } catch (const Error& e) {
        check(rank == 0 ? e.file() == bad.string() && e.key() == "byte 100" : e.reason() == "counting failed on rank 0", e.what());
    }
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == 0) std::filesystem::remove(file), std::filesystem::remove(bad), std::printf("%d ranks\n", size);
    MPI_Allreduce(MPI_IN_PLACE, &failures, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    MPI_Finalize();
    return failures == 0 ? 0 : 1;
}
