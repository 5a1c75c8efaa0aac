// SPDX-License-Identifier: GPL-2.0-or-later
#include "surveyor.hpp"

#include "pf_match.hpp"
#include "wire.hpp"

namespace vfb::daemon {
namespace {

constexpr std::chrono::seconds kSurveyTimeout{20};
// Reads nothing that the kernel locks a device for.
constexpr std::chrono::seconds kLimitsTimeout{5};

}  // namespace

struct Surveyor::Survey {
    SeenPfs seen;
    std::size_t outstanding = 1;  // one more than there are, until all are asked
    std::function<void(SeenPfs)> done;

    void one_less() {
        if (--outstanding == 0) done(std::move(seen));
    }
};

struct Surveyor::ReadLimits {
    Limits limits;
    std::size_t outstanding = 1;  // as above
    std::function<void(const Limits&)> done;

    void one_less() {
        if (--outstanding == 0) done(limits);
    }
};

void Surveyor::read_limits(const broker::Config& config, std::function<void(const Limits&)> done) {
    const auto all = std::make_shared<ReadLimits>();
    all->done = std::move(done);
    for (const broker::PfConfig& pf : config.pfs) {
        const auto known = hardware_.pfs().find(pf.name);
        if (known == hardware_.pfs().end() || known->second.state != PfStatus::State::ready)
            continue;
        const auto& address = known->second.address;
        if (!address) continue;
        ++all->outstanding;
        workers_.of(address->str())
            .call({.operation = "read-limits",
                   .parameters = {{"pf", address->str()},
                                  {"asked", broker::asked_attributes(config, pf)}},
                   .timeout = kLimitsTimeout,
                   .subject = address->str(),
                   .done =
                       [all, name = pf.name](const Result<WorkerReply>& reply) {
                           if (reply) all->limits[name] = pf_limits_from_json(reply->parameters);
                           all->one_less();
                       },
                   .part = {},
                   .late = {}});
    }
    all->one_less();
}

void Surveyor::survey(const broker::Config& config, std::function<void(SeenPfs)> done) {
    const auto survey = std::make_shared<Survey>();
    survey->done = std::move(done);
    const PfMatches matches = match_pfs(config.pfs, world_.functions());
    for (const broker::PfConfig& pf : config.pfs) {
        const auto place = hardware_.place_of(pf.name);
        survey_pf(survey, pf, broker::asked_attributes(config, pf),
                  place ? stay(pf, *place, matches.at(pf.name)) : std::unexpected(place.error()));
    }
    survey->one_less();
}

void Surveyor::survey_pf(const std::shared_ptr<Survey>& survey, const broker::PfConfig& pf,
                         const std::vector<std::string>& asked,
                         const Result<pci::Address>& address) {
    broker::Seen& seen = survey->seen[pf.name];
    if (!address) {
        seen.problem = address.error();
        return;
    }
    seen.address = *address;
    ++survey->outstanding;
    workers_.of(address->str())
        .call({.operation = "survey-pf",
               .parameters = {{"pf", address->str()}, {"wanted", pf.vfs}, {"asked", asked}},
               .timeout = kSurveyTimeout,
               .subject = address->str(),
               .done =
                   [survey, name = pf.name](const Result<WorkerReply>& reply) {
                       auto& found = survey->seen[name];
                       auto read = reply ? survey_from_json(reply->parameters)
                                         : Result<broker::Survey>(std::unexpected(reply.error()));
                       if (read)
                           found.survey = std::move(*read);
                       else
                           found.problem = std::move(read).error();
                       survey->one_less();
                   },
               .part = {},
               .late = {}});
}

}  // namespace vfb::daemon
