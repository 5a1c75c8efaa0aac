// SPDX-License-Identifier: GPL-2.0-or-later
//
// Scanner: the same values as the JSON library, and no harm from text that is no JSON.
#include "proto/scanner.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "proto/json.hpp"

namespace vfb::proto {
namespace {

struct Read {
    std::vector<std::string> names;
    std::int64_t sum = 0;
    std::vector<std::string> others;
    bool ok = false;
};

// Objects in an array: `name` text or null, `n` a number, all else skipped.
Read read(std::string_view text) {
    Read out;
    Scanner scanner(text);
    scanner.array([&] {
        scanner.object([&](std::string_view key) {
            if (key == "name")
                out.names.push_back(scanner.null() ? "-" : scanner.string());
            else if (key == "n")
                out.sum += scanner.number();
            else
                out.others.emplace_back(scanner.skip());
        });
    });
    out.ok = scanner.ok();
    return out;
}

TEST(Scanner, ReadsWhatItKnowsAndSkipsTheRest) {
    const auto out = read(
        R"( [ {"name":"a","n":1,"x":{"y":[1,{"z":"]}"}]}}, {"n" : -3 , "name":null,"b":true},
              {}, {"e":[],"f":"q\"","g":1.5e3} ] )");
    EXPECT_TRUE(out.ok);
    EXPECT_EQ(out.names, (std::vector<std::string>{"a", "-"}));
    EXPECT_EQ(out.sum, -2);
    EXPECT_EQ(out.others, (std::vector<std::string>{R"({"y":[1,{"z":"]}"}]})", "true", "[]",
                                                    R"("q\"")", "1.5e3"}));
}

TEST(Scanner, Escapes) {
    const auto out = read(R"([{"name":"a\"b\\c\u00e9\n"}])");
    EXPECT_TRUE(out.ok);
    EXPECT_EQ(out.names.at(0), "a\"b\\c\xc3\xa9\n");
}

TEST(Scanner, EmptyArrays) {
    EXPECT_TRUE(read("[]").ok);
    EXPECT_TRUE(read(" [ ] ").ok);
}

TEST(Scanner, TextThatIsNoJsonIsNotOk) {
    for (const char* text :
         {"", "[", "{}", "[{]", "[{\"name\"}]", "[{\"name\":1}]", "[{\"n\":\"1\"}]", "[{\"n\":}]",
          "[{\"name\":\"a}]", "[{\"name\":\"a\\", "[{\"name\":\"\\q\"}]", "[{\"x\":]}]",
          "[{\"x\":{}", "[{\"x\":[[[[", "[{\"name\":nul}]", "[{\"n\":99999999999999999999}]",
          "[{\"n\":1}{\"n\":1}]"})
        EXPECT_FALSE(read(text).ok) << text;
}

TEST(Scanner, DamagedTextDoesNoHarm) {
    const std::string good = R"([{"name":"a","n":1,"x":{"y":[1,{"z":"]}"}]}},{"name":"b\n"}])";
    std::mt19937_64 random(1);
    for (int i = 0; i < 20000; ++i) {
        std::string bytes = good;
        for (int changes = 0; changes < 3; ++changes)
            bytes[random() % bytes.size()] = static_cast<char>(random() % 128);
        bytes.resize(random() % (bytes.size() + 1));
        static_cast<void>(read(bytes));
    }
}

}  // namespace
}  // namespace vfb::proto
