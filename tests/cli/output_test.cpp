// SPDX-License-Identifier: GPL-2.0-or-later
#include <gtest/gtest.h>

#include <array>
#include <sstream>

#include "client/functions.hpp"
#include "output/addresses.hpp"
#include "output/fields.hpp"
#include "output/json.hpp"
#include "output/plan_text.hpp"
#include "output/table.hpp"

namespace vfb::cli {
namespace {

using proto::Json;

constexpr Column column(std::string_view name, unsigned least = 0, unsigned leave_out = 0) {
    return {.name = name, .text = "", .least = least, .leave_out = leave_out};
}

constexpr Screen kPlain{};
constexpr Screen kColoured{.coloured = true, .width = {}};

Screen narrow(std::size_t width) {
    return {.coloured = false, .width = width};
}

TEST(Table, AlignsCharactersNotBytes) {
    constexpr std::array columns{column("A"), column("LONG")};
    Table table(columns);
    table.row({{.text = "h\xc3\xa9"}, {.text = "1"}});
    table.row({{.text = "four"}, {}});
    EXPECT_EQ(table.str(kPlain), "A     LONG\nh\xc3\xa9    1\nfour  -\n");
}

TEST(Table, NothingSteersTheTerminal) {
    constexpr std::array columns{column("A")};
    Table table(columns);
    table.row({{.text = "x\x1b[2J\ny\x7f"}});
    EXPECT_EQ(table.str(kColoured), "A\nx?[2J?y?\n");
}

TEST(Table, ColourTakesNoRoom) {
    constexpr std::array columns{column("STATE"), column("X")};
    Table table(columns);
    table.row({{.text = "clean", .colour = Colour::green}, {.text = "1"}});
    EXPECT_EQ(table.str(kPlain), "STATE  X\nclean  1\n");
    EXPECT_EQ(table.str(kColoured), "STATE  X\n\x1b[32mclean\x1b[0m  1\n");
}

class FittingTable : public ::testing::Test {
protected:
    FittingTable() {
        table.row({{.text = "key"}, {.text = "0"}, {.text = "more"}, {.text = "caf\xc3\xa9 noir"}});
    }
    static constexpr std::array kColumns{column("A"), column("ZERO", 0, 1), column("MORE", 0, 2),
                                         column("TEXT", 5)};
    Table table{kColumns};
};

TEST_F(FittingTable, IsWholeWhereThereIsRoom) {
    const std::string whole = "A    ZERO  MORE  TEXT\nkey  0     more  caf\xc3\xa9 noir\n";
    EXPECT_EQ(table.str(kPlain), whole);
    EXPECT_EQ(table.str(narrow(26)), whole);
}

TEST_F(FittingTable, CutsFirst) {
    EXPECT_EQ(table.str(narrow(25)),
              "A    ZERO  MORE  TEXT\nkey  0     more  caf\xc3\xa9 no\u2026\n");
    EXPECT_EQ(table.str(narrow(22)), "A    ZERO  MORE  TEXT\nkey  0     more  caf\xc3\xa9\u2026\n");
}

TEST_F(FittingTable, ThenLeavesOutWhatSaysNothing) {
    EXPECT_EQ(table.str(narrow(21)), "A    MORE  TEXT\nkey  more  caf\xc3\xa9 noir\n");
    EXPECT_EQ(table.str(narrow(15)), "A    TEXT\nkey  caf\xc3\xa9 noir\n");
    // No more can be done.
    EXPECT_EQ(table.str(narrow(1)), "A    TEXT\nkey  caf\xc3\xa9\u2026\n");
}

TEST_F(FittingTable, ShowsWhatIsChosen) {
    ASSERT_TRUE(table.choose({"text", "A"}));
    EXPECT_EQ(table.str(kPlain), "TEXT       A\ncaf\xc3\xa9 noir  key\n");
    const auto wrong = table.choose({"A", "NOTHING"});
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().message(), "cannot choose columns: there is no column NOTHING");
    EXPECT_EQ(wrong.error().hint, "vfbroker help columns");
}

// On 80 columns with the longest that is to be expected in those that are never cut.
TEST(Tables, Fit80Columns) {
    for (const auto& kind : table_kinds()) {
        Table table(kind.columns);
        std::vector<Cell> cells;
        for (const auto& column : kind.columns) {
            const std::string text =
                column.name == "ADDRESS" || column.name == "FUNCTION" ? "0000:01:10.0"
                : column.name == "STATE"                              ? "quarantined"
                : column.name == "ROLE"                               ? "PF 256/256"
                : column.name == "SINCE" || column.name == "TIME"     ? "2026-01-01T00:00:00Z"
                : column.name == "EVENT"                              ? "transferred"
                : column.name == "POOL"                               ? "storage"
                : column.least != 0                                   ? std::string(60, 'x')
                                                                      : "1024";
            cells.push_back({.text = text});
        }
        table.row(cells);
        std::istringstream lines(table.str(narrow(80)));
        for (std::string line; std::getline(lines, line);) {
            std::erase_if(line, [](char byte) { return (byte & 0xC0) == 0x80; });
            EXPECT_LE(line.size(), 80u) << kind.name << ": " << line;
        }
    }
}

TEST(Tables, EveryColumnIsExplained) {
    for (const auto& kind : table_kinds())
        for (const auto& column : kind.columns)
            EXPECT_TRUE(column.text.ends_with('.')) << kind.name << ' ' << column.name;
    EXPECT_TRUE(columns_of("nothing").empty());
}

TEST(Addresses, InRows) {
    const auto ranges = [](std::vector<Json> list) { return address_ranges(list); };
    EXPECT_EQ(ranges({}), "");
    EXPECT_EQ(ranges({"0000:01:10.0", "0000:01:10.2"}), "0000:01:10.0 0000:01:10.2");
    EXPECT_EQ(ranges({"0000:01:10.0", "0000:01:10.2", "0000:01:10.4", "0000:01:11.0"}),
              "0000:01:10.0-0000:01:10.4 (3, every 2nd) 0000:01:11.0");
    EXPECT_EQ(ranges({"0000:01:1f.6", "0000:01:1f.7", "0000:02:00.0", "0000:02:00.1"}),
              "0000:01:1f.6-0000:02:00.1 (4)");
    EXPECT_EQ(ranges({"0000:01:10.4", "0000:01:10.2", "0000:01:10.0", "x", 1}),
              "0000:01:10.4 0000:01:10.2 0000:01:10.0 x ");
}

TEST(Addresses, AreOneOnlyAsTheDaemonWritesThem) {
    EXPECT_TRUE(is_address("0000:01:10.0"));
    EXPECT_TRUE(is_address("10000:e1:00.0"));
    for (const char* wrong : {"", "01:10.0", "0000:01:10.0 ", "0000:0A:10.0", "0000:01:10.8x"})
        EXPECT_FALSE(is_address(wrong)) << wrong;
}

TEST(Progress, SaysWhatIsNotDoneYet) {
    const auto json = Json::parse(R"({"done":9,"total":12,"physicalFunctions":[
        {"name":"uplink","clean":4,"total":6},{"name":"san","clean":4,"total":4},
        {"name":"lan","clean":1,"total":2}]})");
    EXPECT_EQ(progress_text(json), "uplink: 4 of 6 VFs clean; lan: 1 of 2 VFs clean");
    EXPECT_EQ(progress_text({{"done", 9}, {"total", 12}}), "9 of 12 functions ready");
}

TEST(Indent, IsWhatTheLibraryPrints) {
    for (const char* text :
         {R"({})", R"([])", R"({"a":[],"b":{}})", R"({"a":[1,{"b":"x,{[\"y:"}],"c":null})",
          R"({"a":"\\","b":[[],[[1.5]],true]})"}) {
        EXPECT_EQ(indent(text), Json::parse(text).dump(2) + "\n");
        EXPECT_EQ(indent(indent(text)), indent(text));
    }
}

TEST(Indent, TextThatIsNoJsonDoesNoHarm) {
    for (const char* text : {"", "}", "]]]]", "{\"", "\"\\", "[,,", "{\"a\""})
        static_cast<void>(indent(text));
}

TEST(Fields, WhatIsNotKnownIsEmpty) {
    const Json object = {{"text", 1}, {"number", "x"}, {"list", {1, "a", "b"}}};
    EXPECT_EQ(text(object, "text"), "");
    EXPECT_EQ(number(object, "number"), "");
    EXPECT_EQ(yes_no(object, "text"), "");
    EXPECT_EQ(joined(object, "list"), "a b");
    EXPECT_EQ(text(Json(), "a"), "");
    EXPECT_TRUE(elements(object, "none").empty());
    EXPECT_EQ(attributes({{"vlan", 0}, {"trust", false}, {"mac", nullptr}}), "vlan 0, trust off");
}

TEST(Functions, AreReadAsTheyWereSent) {
    const auto functions = client::read_functions(
        R"({"new":[{}],"functions":[{"address":"0000:01:10.0","netdevs":["a","b"],"group":5,)"
        R"("index":null,"lease":7,"unknown":{"x":[1]}},{"driver":null}],"more":1})");
    ASSERT_TRUE(functions);
    ASSERT_EQ(functions->size(), 2u);
    EXPECT_EQ((*functions)[0].address, "0000:01:10.0");
    EXPECT_EQ((*functions)[0].netdevs, "a,b");
    EXPECT_EQ((*functions)[0].group, 5);
    EXPECT_EQ((*functions)[0].index, std::nullopt);
    EXPECT_EQ((*functions)[0].lease, 7);
    for (const char* bad : {"{}", "[]", R"({"functions":{}})", R"({"functions":[1]})",
                            R"({"functions":[{"address":1}]})", R"({"functions":[)"})
        EXPECT_FALSE(client::read_functions(bad)) << bad;
}

}  // namespace
}  // namespace vfb::cli
