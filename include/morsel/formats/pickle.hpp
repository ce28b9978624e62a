// Python's pickle, protocol 2, read as data: the result is a tree of values in which a call stays the pair of a name and its
// arguments. Nothing is ever looked up, imported or called, and a global whose name the caller does not allow ends the reading.
// Follows Lib/pickletools.py of CPython, and of its opcodes those that torch's own restricted reader takes.
// Whatever the bytes are, the result is a tree or an Error: sizes are compared with what is left before anything is made, values
// are handles into flat arrays (nothing recurses, in destructors neither), nesting is at most 64, and objects at most four million.
#pragma once
#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "morsel/core/error.hpp"

namespace morsel {

enum class PickleKind : std::uint8_t { none, boolean, integer, real, string, tuple, list, dict, global, call, persistent, absent };

// A handle: numbers hold their value, everything else its place in the tree that made it.
struct PickleValue {
    PickleKind kind = PickleKind::none;
    std::uint8_t depth = 0;    // levels of containers inside it, when it was made
    std::uint32_t count = 0;   // elements of a tuple, bytes of a string
    std::int64_t payload = 0;  // the integer or boolean; the bits of a real; the index of the first element, byte or container
};

struct PickleTree {
    PickleValue root = {};
    std::size_t size = 0;                                // bytes that were read
    std::string_view text = {};                          // the pickle; strings and globals lie in it
    std::vector<PickleValue> elements = {};              // of all tuples
    std::vector<std::vector<PickleValue>> containers = {};  // lists; dicts as key, value, key, value …

    double real(const PickleValue& value) const { return std::bit_cast<double>(value.payload); }
    // A string's bytes; a global's "module\nname\n".
    std::string_view string(const PickleValue& value) const { return text.substr(static_cast<std::size_t>(value.payload), value.count); }
    // A tuple's elements; of a call the global and its arguments, of a persistent reference what refers. A list's or dict's.
    std::span<const PickleValue> items(const PickleValue& value) const {
        if (value.kind == PickleKind::list || value.kind == PickleKind::dict) return containers[static_cast<std::size_t>(value.payload)];
        return std::span(elements).subspan(static_cast<std::size_t>(value.payload), value.count);
    }
    // "module.name" of a global.
    std::string global_name(const PickleValue& value) const {
        std::string name(string(value));
        if (!name.empty()) name.pop_back();
        if (const std::size_t end = name.find('\n'); end != name.npos) name[end] = '.';
        return name;
    }
};

// What a value is, for messages.
inline std::string_view pickle_kind_name(PickleKind kind) {
    static constexpr std::string_view names[] = {"None", "a boolean", "an integer", "a real number", "a string", "a tuple", "a list", "a dict", "a global", "a call", "a persistent reference", "nothing"};
    return names[static_cast<std::size_t>(kind)];
}

inline constexpr std::size_t max_pickle_size = 100'000'000;  // bytes; a million tensors take about that

// Says whether a global, "module.name", may occur.
using PickleAllow = bool (*)(std::string_view name);

namespace detail {

class PickleReader {
  public:
    PickleReader(std::string_view text, const std::filesystem::path& path, PickleAllow allow) : path_(&path), allow_(allow) { tree_.text = text.substr(0, max_pickle_size); }

    PickleTree read() {
        while (step()) {}
        if (stack_.size() != 1 || !marks_.empty()) throw error("not one value at the end", "1", std::to_string(stack_.size()));
        tree_.root = stack_.front();
        tree_.size = at_;
        return std::move(tree_);
    }

  private:
    static constexpr std::size_t max_stack = std::size_t{1} << 20, max_marks = 4096, max_objects = std::size_t{1} << 22;
    static constexpr std::uint8_t max_depth = 64;

    Error error(std::string reason, std::string expected = {}, std::string found = {}) const {
        return Error("pickle: " + reason, {.file = path_->string(), .key = "byte " + std::to_string(opcode_), .expected = std::move(expected), .found = std::move(found)});
    }

    // The next `size` bytes.
    std::string_view take(std::size_t size) {
        if (size > tree_.text.size() - at_) throw error("cut off, or longer than " + std::to_string(max_pickle_size) + " bytes", std::to_string(size) + " more bytes", std::to_string(tree_.text.size() - at_));
        const std::string_view part = tree_.text.substr(at_, size);
        at_ += size;
        return part;
    }
    // Little endian, at most 8 bytes.
    std::uint64_t number(std::size_t bytes) {
        const std::string_view part = take(bytes);
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < bytes; ++i) value |= static_cast<std::uint64_t>(static_cast<unsigned char>(part[i])) << (8 * i);
        return value;
    }

    void push(const PickleValue& value) {
        if (stack_.size() >= max_stack) throw error("too many values on the stack");
        stack_.push_back(value);
    }
    void push_integer(std::int64_t value, PickleKind kind = PickleKind::integer) { push({.kind = kind, .payload = value}); }
    void push_string(std::size_t size) {
        const auto begin = static_cast<std::int64_t>(at_);
        take(size);
        push({.kind = PickleKind::string, .count = static_cast<std::uint32_t>(size), .payload = begin});
    }

    // Values above the last mark are not reached below it.
    std::size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
    PickleValue pop() {
        if (stack_.size() <= floor()) throw error("the stack is empty");
        const PickleValue value = stack_.back();
        stack_.pop_back();
        return value;
    }
    PickleValue& top() {
        if (stack_.size() <= floor()) throw error("the stack is empty");
        return stack_.back();
    }
    // The place of the first value above the last mark, which is taken away.
    std::size_t pop_mark() {
        if (marks_.empty()) throw error("there is no mark");
        const std::size_t begin = marks_.back();
        marks_.pop_back();
        return begin;
    }

    void made_object() {
        if (++objects_ > max_objects) throw error("too many objects", "at most " + std::to_string(max_objects));
    }
    std::uint8_t deeper(std::uint8_t depth) const {
        if (depth >= max_depth) throw error("nested too deeply", "at most " + std::to_string(max_depth) + " levels");
        return static_cast<std::uint8_t>(depth + 1);
    }

    // A tuple, call or persistent reference of the values from `begin` on, which leave the stack.
    void push_tuple(std::size_t begin, PickleKind kind = PickleKind::tuple) {
        PickleValue tuple = {.kind = kind, .count = static_cast<std::uint32_t>(stack_.size() - begin), .payload = static_cast<std::int64_t>(tree_.elements.size())};
        std::uint8_t depth = 0;
        for (std::size_t i = begin; i < stack_.size(); ++i) {
            made_object();
            depth = std::max(depth, stack_[i].depth);
            tree_.elements.push_back(stack_[i]);
        }
        tuple.depth = deeper(depth);
        stack_.resize(begin);
        push(tuple);
    }
    void push_last(std::size_t count, PickleKind kind = PickleKind::tuple) { push_tuple(below(count), kind); }
    void push_container(PickleKind kind) {
        made_object();
        push({.kind = kind, .depth = 1, .payload = static_cast<std::int64_t>(tree_.containers.size())});
        tree_.containers.emplace_back();
    }

    // The place of the last `count` values.
    std::size_t below(std::size_t count) const {
        if (stack_.size() - floor() < count) throw error("the stack is empty");
        return stack_.size() - count;
    }
    // Moves the values from `begin` on into the container below them.
    void extend(PickleKind kind, std::size_t begin) {
        if (begin <= floor()) throw error("the stack is empty");
        PickleValue& container = stack_[begin - 1];
        if (container.kind != kind) throw error("items are put into something else", std::string(pickle_kind_name(kind)), std::string(pickle_kind_name(container.kind)));
        if (kind == PickleKind::dict && (stack_.size() - begin) % 2 != 0) throw error("a key without a value");
        auto& items = tree_.containers[static_cast<std::size_t>(container.payload)];
        for (std::size_t i = begin; i < stack_.size(); ++i) {
            made_object();
            container.depth = std::max(container.depth, deeper(stack_[i].depth));
            items.push_back(stack_[i]);
        }
        stack_.resize(begin);
    }

    void put(std::uint64_t index) {
        // Writers number the memo as they go, and an entry takes two bytes at least, so a larger number is a lie.
        if (index > at_ / 2 || index >= max_objects) throw error("memo index out of range", {}, std::to_string(index));
        if (memo_.size() <= index) memo_.resize(static_cast<std::size_t>(index) + 1, {.kind = PickleKind::absent});
        memo_[static_cast<std::size_t>(index)] = top();
    }
    void get(std::uint64_t index) {
        if (index >= memo_.size() || memo_[static_cast<std::size_t>(index)].kind == PickleKind::absent) throw error("memo entry never set", {}, std::to_string(index));
        push(memo_[static_cast<std::size_t>(index)]);
    }

    void global() {
        const std::size_t begin = at_;
        for (int line = 0; line < 2; ++line) {
            const std::size_t end = tree_.text.substr(at_, 256).find('\n');
            if (end == tree_.text.npos) throw error("a global without end");
            at_ += end + 1;
        }
        PickleValue value = {.kind = PickleKind::global, .count = static_cast<std::uint32_t>(at_ - begin), .payload = static_cast<std::int64_t>(begin)};
        const std::string name = tree_.global_name(value);
        if (!allow_(name)) throw error("a global that no state dict needs", {}, name);
        push(value);
    }

    // A call is kept as what it says. OrderedDict alone becomes the dict that it stands for, with the pairs of its argument.
    void call() {
        const PickleValue arguments = pop(), callee = pop();
        if (callee.kind != PickleKind::global || arguments.kind != PickleKind::tuple) throw error("a call of something else than a global", "a global and a tuple", std::string(pickle_kind_name(callee.kind)) + " and " + std::string(pickle_kind_name(arguments.kind)));
        if (tree_.string(callee) != "collections\nOrderedDict\n") {
            push(callee), push(arguments);
            return push_last(2, PickleKind::call);
        }
        push_container(PickleKind::dict);
        const std::size_t begin = stack_.size();
        for (std::uint32_t i = 0; i < arguments.count; ++i) {
            const PickleValue pairs = tree_.items(arguments)[i];
            if (i > 0 || (pairs.kind != PickleKind::list && pairs.kind != PickleKind::tuple)) throw error("OrderedDict takes a list of pairs", {}, std::string(pickle_kind_name(pairs.kind)));
            for (const PickleValue& pair : tree_.items(pairs)) {
                if ((pair.kind != PickleKind::list && pair.kind != PickleKind::tuple) || tree_.items(pair).size() != 2) throw error("OrderedDict takes a list of pairs", {}, std::string(pickle_kind_name(pair.kind)));
                for (const PickleValue& value : tree_.items(pair)) push(value);
            }
        }
        extend(PickleKind::dict, begin);
    }

    // Attributes of a dict (torch's `_metadata`) are passed over; other objects that would need to be built there are none.
    void build() {
        pop();
        if (top().kind != PickleKind::dict) throw error("attributes of something else than a dict", {}, std::string(pickle_kind_name(top().kind)));
    }

    // One opcode; false at STOP.
    bool step() {
        opcode_ = at_;
        const auto code = static_cast<unsigned char>(take(1).front());
        switch (code) {
            case 0x80:  // PROTO
                if (const std::uint64_t protocol = number(1); protocol > 2) throw error("unsupported protocol", "at most 2", std::to_string(protocol));
                return true;
            case '.': return false;  // STOP
            case '(':                // MARK
                if (marks_.size() >= max_marks) throw error("too many marks");
                marks_.push_back(stack_.size());
                return true;
            case 'N': push({}); return true;
            case 0x88: push_integer(1, PickleKind::boolean); return true;  // NEWTRUE
            case 0x89: push_integer(0, PickleKind::boolean); return true;  // NEWFALSE
            case 'K': push_integer(static_cast<std::int64_t>(number(1))); return true;                         // BININT1
            case 'M': push_integer(static_cast<std::int64_t>(number(2))); return true;                         // BININT2
            case 'J': push_integer(static_cast<std::int32_t>(static_cast<std::uint32_t>(number(4)))); return true;  // BININT
            case 0x8a: return long_integer();                                                                  // LONG1
            case 'G': {                                                                                        // BINFLOAT, big endian
                std::uint64_t bits = 0;
                for (const char c : take(8)) bits = bits << 8 | static_cast<unsigned char>(c);
                push_integer(static_cast<std::int64_t>(bits), PickleKind::real);
                return true;
            }
            case 'X': push_string(static_cast<std::size_t>(number(4))); return true;  // BINUNICODE
            case 'U': push_string(static_cast<std::size_t>(number(1))); return true;  // SHORT_BINSTRING
            case ')': push_tuple(stack_.size()); return true;                         // EMPTY_TUPLE
            case 't': push_tuple(pop_mark()); return true;                            // TUPLE
            case 0x85: push_last(1); return true;                                     // TUPLE1
            case 0x86: push_last(2); return true;                                     // TUPLE2
            case 0x87: push_last(3); return true;                                     // TUPLE3
            case ']': push_container(PickleKind::list); return true;                  // EMPTY_LIST
            case '}': push_container(PickleKind::dict); return true;                  // EMPTY_DICT
            case 'a': extend(PickleKind::list, below(1)); return true;                // APPEND
            case 'e': extend(PickleKind::list, pop_mark()); return true;              // APPENDS
            case 's': extend(PickleKind::dict, below(2)); return true;                // SETITEM
            case 'u': extend(PickleKind::dict, pop_mark()); return true;              // SETITEMS
            case 'q': put(number(1)); return true;                                    // BINPUT
            case 'r': put(number(4)); return true;                                    // LONG_BINPUT
            case 'h': get(number(1)); return true;                                    // BINGET
            case 'j': get(number(4)); return true;                                    // LONG_BINGET
            case 'c': global(); return true;                                          // GLOBAL
            case 'R': case 0x81: call(); return true;                                 // REDUCE, NEWOBJ
            case 'b': build(); return true;                                           // BUILD
            case 'Q': push_last(1, PickleKind::persistent); return true;              // BINPERSID
            default: {
                static constexpr char digits[] = "0123456789abcdef";
                throw error("unsupported opcode", {}, std::string("0x") + digits[code >> 4] + digits[code & 15]);
            }
        }
    }

    bool long_integer() {
        const std::size_t size = static_cast<std::size_t>(number(1));
        if (size > 8) take(size), throw error("an integer beyond 64 bits");
        std::uint64_t value = number(size);
        if (size > 0 && size < 8 && (value >> (8 * size - 1)) != 0) value |= ~std::uint64_t{0} << (8 * size);  // two's complement
        push_integer(static_cast<std::int64_t>(value));
        return true;
    }

    const std::filesystem::path* path_;
    PickleAllow allow_;
    PickleTree tree_;
    std::size_t at_ = 0, opcode_ = 0;  // bytes: the next to read, the current opcode
    std::size_t objects_ = 0;
    std::vector<PickleValue> stack_;
    std::vector<std::size_t> marks_;  // sizes of the stack
    std::vector<PickleValue> memo_;
};

}  // namespace detail

// The value at the start of `text`, which must outlive the tree. Throws Error whose reason begins with "pickle: ".
inline PickleTree read_pickle(std::string_view text, const std::filesystem::path& path, PickleAllow allow) {
    return detail::PickleReader(text, path, allow).read();
}

}  // namespace morsel
