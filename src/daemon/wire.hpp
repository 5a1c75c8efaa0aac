// SPDX-License-Identifier: GPL-2.0-or-later
//
// Values of the modules as JSON and back: for the workers (both ways) and for io.vfbroker (out).
// Field names are those of src/proto/io.vfbroker.varlink.
#pragma once

#include <cstdint>

#include "broker/config.hpp"
#include "broker/device_work.hpp"
#include "nic/vf_attributes.hpp"
#include "pci/binding.hpp"
#include "pci/function.hpp"
#include "proto/json.hpp"
#include "vfio/vfio.hpp"

namespace vfb::daemon {

using proto::Json;

Json to_json(const nic::VfAttributes& attributes);
// Code::invalid names the field at fault; unknown fields are refused.
Result<nic::VfAttributes> attributes_from_json(const Json& json);
// Of a client: refuses as well what no VF can be asked to have. A worker's may be so, as the MAC
// address of a VF that never was given one is all zeros with many drivers.
Result<nic::VfAttributes> asked_attributes_from_json(const Json& json);

Json to_json(const pci::Bar& bar);
Json to_json(const pci::Netdev& netdev);
Json to_json(const pci::SrIov& sriov);

// Between daemon and workers, which are one program: what one wrote the other reads.
Json to_json(const pci::Function& function);
Result<pci::Function> function_from_json(const Json& json);
Json to_json(const pci::Binding& binding);
pci::Binding binding_from_json(const Json& json);
// What is set on a PF besides its VFs; absent: not touched.
struct PfSettings {
    std::optional<std::uint32_t> mtu;
    std::optional<nic::EswitchMode> eswitch_mode;
    bool operator==(const PfSettings&) const = default;
};
Json to_json(const PfSettings& settings);
PfSettings pf_settings_from_json(const Json& json);
Json to_json(const vfio::Support& support);
vfio::Support support_from_json(const Json& json);
// [{"function": "0000:01:10.0", "reasons": ["address"]}], as io.vfbroker Despite.
Json to_json(const broker::Despite& despite);
Result<broker::Despite> despite_from_json(const Json& json);
// [{"path": "vfbroker.toml", "text": "..."}], as io.vfbroker ConfigurationFile.
Result<broker::FileTexts> file_texts_from_json(const Json& json);
Json to_json(const broker::PfLimits& limits);
broker::PfLimits pf_limits_from_json(const Json& json);
Json to_json(const broker::Survey& survey);
Result<broker::Survey> survey_from_json(const Json& json);
Json to_json(const broker::ScrubRequest& request);
Result<broker::ScrubRequest> scrub_request_from_json(const Json& json);

}  // namespace vfb::daemon
