// SPDX-License-Identifier: GPL-2.0-or-later
#include "broker/model.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace vfb::broker {
namespace {

// One table a type: the names on the wire, in the database and on the terminal.
template <class E, std::size_t N>
using Names = std::array<std::pair<E, std::string_view>, N>;

constexpr Names<SlotState, 8> kStates{{
    {SlotState::unmanaged, "unmanaged"},
    {SlotState::absent, "absent"},
    {SlotState::preparing, "preparing"},
    {SlotState::clean, "clean"},
    {SlotState::leased, "leased"},
    {SlotState::dirty, "dirty"},
    {SlotState::quarantined, "quarantined"},
    {SlotState::stuck, "stuck"},
}};
constexpr Names<OwnerKind, 3> kOwners{{
    {OwnerKind::connection, "connection"},
    {OwnerKind::process, "process"},
    {OwnerKind::guest, "guest"},
}};
constexpr Names<HandOff, 3> kHandOffs{{
    {HandOff::descriptors, "descriptors"},
    {HandOff::node, "node"},
    {HandOff::none, "none"},
}};

template <class E, std::size_t N>
std::string_view name_of(const Names<E, N>& names, E value) {
    for (const auto& [entry, name] : names)
        if (entry == value) return name;
    return "?";
}

template <class E, std::size_t N>
std::optional<E> value_of(const Names<E, N>& names, std::string_view name) {
    for (const auto& [entry, text] : names)
        if (text == name) return entry;
    return std::nullopt;
}

}  // namespace

std::string_view to_string(SlotState state) {
    return name_of(kStates, state);
}
std::string_view to_string(OwnerKind kind) {
    return name_of(kOwners, kind);
}
std::string DrainTarget::str() const {
    return (kind == Kind::pf ? "pf:" : "pool:") + name;
}

std::string_view to_string(HandOff hand_off) {
    return name_of(kHandOffs, hand_off);
}
std::optional<OwnerKind> owner_kind_from_string(std::string_view name) {
    return value_of(kOwners, name);
}
std::optional<HandOff> hand_off_from_string(std::string_view name) {
    return value_of(kHandOffs, name);
}

std::string describe(const Lease& lease) {
    const std::string guest = lease.guest.empty() ? "" : fmt::format("guest {}, ", lease.guest);
    return fmt::format("lease {} ({}pid {})", lease.id, guest, lease.owner.process.pid);
}

}  // namespace vfb::broker
