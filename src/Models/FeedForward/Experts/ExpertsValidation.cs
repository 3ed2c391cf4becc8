using Trainer.Configuration;

namespace Trainer.Models.FeedForward.Experts;

/// <summary>The rules between the choices of one layer of experts.</summary>
internal static class ExpertsValidation
{
    public static IEnumerable<Problem> Of(ExpertsOptions options)
    {
        (int experts, int active, int groups, int activeGroups) = (options.Experts, options.Active, options.Groups, options.ActiveGroups);
        if (experts < 1 || active < 1 || groups < 1 || activeGroups < 1) yield break;
        if (active > experts)
            yield return new("active", $"active ({active}) is more than the experts there are ({experts}); use at most {experts}");
        if (active == 1 && options.NormalizeWeights is true)
            yield return new("normalizeWeights", "with active 1 a normalised weight is always 1 and the router would learn nothing from the loss; use false");
        if (experts % groups != 0)
            yield return new("groups", $"experts ({experts}) must be a multiple of groups ({groups}); try {Divisors.Near(experts, groups)}");
        else if (activeGroups > groups)
            yield return new("activeGroups", $"activeGroups ({activeGroups}) is more than the groups there are ({groups}); use at most {groups}");
        else if (active <= experts && activeGroups * (experts / groups) < active)
            yield return new("activeGroups",
                $"{activeGroups} of {groups} groups hold {activeGroups * (experts / groups)} experts, fewer than active ({active}); use at least {(active * groups + experts - 1) / experts}");
    }
}
