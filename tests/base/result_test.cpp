// SPDX-License-Identifier: LGPL-2.1-or-later
#include "base/result.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>

namespace vfb {
namespace {

TEST(Code, HasAStableNameBothWays) {
    std::set<std::string_view> names;
    for (int i = 0; i <= static_cast<int>(Code::protocol); ++i) {
        const auto code = static_cast<Code>(i);
        EXPECT_EQ(code_from_string(to_string(code)), code);
        names.insert(to_string(code));
    }
    EXPECT_EQ(names.size(), 13U);
    EXPECT_EQ(to_string(Code::not_viable), "not-viable");
    EXPECT_EQ(code_from_string("a newer peer's code"), Code::failed);
    EXPECT_EQ(code_from_string(""), Code::failed);
}

TEST(Code, FollowsFromAnErrno) {
    EXPECT_EQ(code_of_errno(EPERM), Code::denied);
    EXPECT_EQ(code_of_errno(ENOENT), Code::not_found);
    EXPECT_EQ(code_of_errno(ENODEV), Code::lost);
    EXPECT_EQ(code_of_errno(EBUSY), Code::busy);
    EXPECT_EQ(code_of_errno(ENOSPC), Code::exhausted);
    EXPECT_EQ(code_of_errno(12345), Code::failed);
}

TEST(Error, SaysWhatFailedAndWhy) {
    const auto plain = fail(Code::busy, "bind 0000:01:10.0 to vfio-pci", "0000:01:10.0",
                            "group 5 also holds 0000:03:00.0", "vfbroker explain 0000:01:10.0")
                           .error();
    EXPECT_EQ(plain.message(),
              "cannot bind 0000:01:10.0 to vfio-pci: group 5 also holds 0000:03:00.0");
    EXPECT_EQ(plain.hint, "vfbroker explain 0000:01:10.0");
    EXPECT_EQ(plain.code_name(), "busy");
    const auto system = fail_errno(EACCES, "open x", "x").error();
    EXPECT_EQ(system.message(), "cannot open x: Permission denied");
    EXPECT_EQ(system.code, Code::denied);
    EXPECT_EQ(fail_errno(ENOSPC, "do it", "x", "no vectors are left").error().message(),
              "cannot do it: no vectors are left: No space left on device");
}

TEST(Error, KeepsItsCauseAndThatOnesHint) {
    auto inner = fail_errno(EBUSY, "open y", "y", {}, "close y").error();
    const auto outer = fail(Code::failed, "lease x", "x", {}).error().because(std::move(inner));
    EXPECT_EQ(outer.message(), "cannot lease x: cannot open y: Device or resource busy");
    EXPECT_EQ(outer.hint, "close y");
    EXPECT_EQ(outer.code_name(), "failed");
    auto other = fail(Code::failed, "a", "a", {}).error();
    const auto kept = fail(Code::failed, "b", "b", {}, "mine")
                          .error()
                          .because(std::move(other).with_hint("theirs"));
    EXPECT_EQ(kept.hint, "mine");
    EXPECT_EQ(kept.cause->hint, "theirs");
}

TEST(Error, NamesUnknownErrnosToo) {
    EXPECT_EQ(errno_text(ENOENT), "No such file or directory");
    EXPECT_FALSE(errno_text(99999).empty());
}

Result<int> half(int n) {
    if (n % 2 != 0) return fail(Code::invalid, "halve", std::to_string(n), "it is odd");
    return n / 2;
}
Result<> check(int n) {
    if (n < 0) return fail(Code::invalid, "check", std::to_string(n), "it is negative");
    return {};
}
Result<int> quarter(int n) {
    VFB_CHECK(check(n));
    VFB_TRY(const int once, half(n));
    VFB_TRY(auto twice, half(once));
    return twice;
}
Result<std::unique_ptr<int>> boxed(int n) {
    VFB_TRY(auto value, quarter(n));
    return std::make_unique<int>(value);
}
Result<int> unboxed(int n) {
    VFB_TRY(const auto box, boxed(n));  // a value that can only be moved
    return *box;
}

TEST(Try, ReturnsTheFirstError) {
    EXPECT_EQ(unboxed(8).value(), 2);
    EXPECT_EQ(unboxed(-8).error().operation, "check");
    EXPECT_EQ(unboxed(7).error().subject, "7");
    EXPECT_EQ(unboxed(6).error().subject, "3");
}

}  // namespace
}  // namespace vfb
