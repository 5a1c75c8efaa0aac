// SPDX-License-Identifier: GPL-2.0-or-later
//
// The CLI's words are the daemon's: every state and event that there is in its code is one that the
// CLI knows and explains, and there are no others.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>
#include <set>
#include <vector>

#include "broker/model.hpp"
#include "events.hpp"
#include "hardware.hpp"
#include "journal.hpp"
#include "output/states.hpp"
#include "proto/connection.hpp"

namespace vfb::test {
namespace {

using Words = std::set<std::string>;

Words names_of(std::span<const cli::State> states) {
    Words names;
    for (const auto& state : states) {
        names.emplace(state.name);
        EXPECT_TRUE(state.text.ends_with('.')) << state.name;
    }
    return names;
}

// What to_string() makes of all values of an enumeration; `last` is its last one.
template <class Enum>
Words all_of(Enum last) {
    Words names;
    for (int i = 0; i <= static_cast<int>(last); ++i)
        names.emplace(to_string(static_cast<Enum>(i)));
    return names;
}

// The words of a type of the interface, or in a comment of it, that `pattern` finds.
Words words_in(const std::string& pattern, const char* word) {
    std::smatch found;
    const std::string interface(proto::interface_description());
    EXPECT_TRUE(std::regex_search(interface, found, std::regex(pattern))) << pattern;
    const std::string list = found[1];
    Words words;
    const std::regex one(word);
    for (std::sregex_iterator it(list.begin(), list.end(), one), end; it != end; ++it)
        words.insert((*it)[1]);
    return words;
}

TEST(Words, EveryStateOfAFunctionIsExplained) {
    const auto explained = names_of(cli::function_states());
    EXPECT_EQ(all_of(broker::SlotState::stuck), explained);
    EXPECT_EQ(words_in("type FunctionState \\(([^)]*)\\)", "([a-z]+)"), explained);
}

TEST(Words, EveryStateOfAPhysicalFunctionIsExplained) {
    const auto explained = names_of(cli::pf_states());
    // That of one that is ready and has a problem.
    auto told = all_of(daemon::PfStatus::State::stuck);
    told.insert("differs");
    EXPECT_EQ(told, explained);
    EXPECT_EQ(words_in("type PhysicalFunctionStatus \\(([^)]*)\n    state:", "`([a-z]+)`"),
              explained);
}

TEST(Words, EveryVerdictIsExplained) {
    EXPECT_EQ(words_in("((?:#[^\n]*\n)+)type Verdict", "`([a-z-]+)`"),
              names_of(cli::verdict_states()));
}

TEST(Words, EveryEventIsFoundInTheJournal) {
    std::vector<std::string_view> names;
    for (const auto& kind : daemon::event_kinds()) names.push_back(kind.name);
    const auto found = cli::log_events();
    EXPECT_THAT(std::vector(found.begin(), found.end()), testing::ElementsAreArray(names));
}

}  // namespace
}  // namespace vfb::test
