// SPDX-License-Identifier: GPL-2.0-or-later
#include <gtest/gtest.h>

#include <random>

#include "client/functions.hpp"
#include "output/fields.hpp"
#include "output/json.hpp"
#include "output/table.hpp"

namespace vfb::cli {
namespace {

using proto::Json;

TEST(Table, AlignsCharactersNotBytes) {
    Table table({"A", "LONG"});
    table.row({{.text = "h\xc3\xa9"}, {.text = "1"}});
    table.row({{.text = "four"}, {}});
    EXPECT_EQ(table.str(false), "A     LONG\nh\xc3\xa9    1\nfour  -\n");
}

TEST(Table, NothingSteersTheTerminal) {
    Table table({"A"});
    table.row({{.text = "x\x1b[2J\ny\x7f"}});
    EXPECT_EQ(table.str(true), "A\nx?[2J?y?\n");
}

TEST(Table, ColourTakesNoRoom) {
    Table table({"STATE", "X"});
    table.row({{.text = "clean", .colour = Colour::green}, {.text = "1"}});
    EXPECT_EQ(table.str(false), "STATE  X\nclean  1\n");
    EXPECT_EQ(table.str(true), "STATE  X\n\x1b[32mclean\x1b[0m  1\n");
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
