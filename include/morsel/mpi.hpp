// Word counts of one corpus over several machines, with MPI: every rank counts its part of every file, and the tables are added up in a tree
// of ranks, as the bytes that a table has in a file. Merging pairs takes distinct words only, so it is left to one machine: rank 0 gets
// the sum, the others an empty table. The same counts as on one machine, whatever the number of ranks.
// Needs MPI (target morsel::mpi); included by programs themselves, by nothing else of the library.
#pragma once
#include <mpi.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/core/error.hpp"
#include "morsel/core/threads.hpp"
#include "morsel/training/count_words.hpp"
#include "morsel/training/word_table.hpp"

namespace morsel {

namespace detail {

// MPI counts in int: large tables go in pieces.
inline constexpr std::size_t mpi_piece = std::size_t{1} << 30;  // bytes

inline void mpi_send(std::string_view bytes, int to, MPI_Comm communicator) {
    const std::uint64_t size = bytes.size();
    MPI_Send(&size, 1, MPI_UINT64_T, to, 0, communicator);
    for (std::size_t at = 0; at < bytes.size(); at += mpi_piece)
        MPI_Send(bytes.data() + at, static_cast<int>(std::min(mpi_piece, bytes.size() - at)), MPI_BYTE, to, 0, communicator);
}
inline std::string mpi_receive(int from, MPI_Comm communicator) {
    std::uint64_t size = 0;
    MPI_Recv(&size, 1, MPI_UINT64_T, from, 0, communicator, MPI_STATUS_IGNORE);
    std::string bytes(static_cast<std::size_t>(size), '\0');
    for (std::size_t at = 0; at < bytes.size(); at += mpi_piece)
        MPI_Recv(bytes.data() + at, static_cast<int>(std::min(mpi_piece, bytes.size() - at)), MPI_BYTE, from, 0, communicator, MPI_STATUS_IGNORE);
    return bytes;
}

// Where a rank failed, all throw: its own Error there, elsewhere one that names the rank.
inline void mpi_agree(bool failed, MPI_Comm communicator) {
    int rank = 0, size = 0;
    MPI_Comm_rank(communicator, &rank), MPI_Comm_size(communicator, &size);
    int first = failed ? rank : size;
    MPI_Allreduce(MPI_IN_PLACE, &first, 1, MPI_INT, MPI_MIN, communicator);
    if (first < size && !failed) throw Error("counting failed on rank " + std::to_string(first));
}

}  // namespace detail

// To be called by all ranks with the same files, which all of them see. Between MPI_Init and MPI_Finalize, by one thread of each rank.
// Throws Error on all ranks where one fails.
inline WordCounts count_files_mpi(std::span<const std::filesystem::path> files, CountingOptions options, ThreadPool& pool, MPI_Comm communicator = MPI_COMM_WORLD,
                                  const ProgressCallback& progress = {}) {
    int rank = 0, size = 0;
    MPI_Comm_rank(communicator, &rank), MPI_Comm_size(communicator, &size);
    options.part = {static_cast<std::size_t>(rank), static_cast<std::size_t>(size)};
    WordCounts counts;
    const auto together = [&](auto&& work) {
        try {
            work();
        } catch (...) {
            detail::mpi_agree(true, communicator);
            throw;
        }
        detail::mpi_agree(false, communicator);
    };
    together([&] { counts = count_words(files, options, pool, progress).take(); });
    bool sent = false;
    for (int step = 1; step < size; step *= 2) {
        const bool sends = !sent && rank % (2 * step) == step, receives = !sent && !sends && rank + step < size;
        std::string bytes;
        together([&] {
            if (sends) bytes = word_table_bytes(counts), counts = WordCounts();
        });
        if (sends) detail::mpi_send(bytes, rank - step, communicator), sent = true;
        if (receives) bytes = detail::mpi_receive(rank + step, communicator);
        together([&] {
            if (!receives) return;
            WordTableReader table(bytes, "rank " + std::to_string(rank + step));
            while (table.next()) counts.add(table.word(), table.count());
        });
    }
    return counts;
}

}  // namespace morsel
