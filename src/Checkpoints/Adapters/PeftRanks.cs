using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Trainer.Configuration;
using Trainer.Models.Adapters;

namespace Trainer.Checkpoints.Adapters;

/// <summary>The ranks and alphas of PEFT's single matrices, which its <c>rank_pattern</c> and <c>alpha_pattern</c> give by the ends of names or
/// regular expressions of them.</summary>
internal sealed class PeftRanks
{
    private const string Rank = "rank_pattern", Alpha = "alpha_pattern";

    private readonly string location;
    private readonly (Regex Pattern, double Value)[] ranks;
    private readonly (Regex Pattern, double Value)[] alphas;

    /// <summary>Reads them from adapter_config.json.</summary>
    /// <exception cref="UserException">A pattern is none, or its value no number.</exception>
    public PeftRanks(JsonObject json, string location)
    {
        this.location = location;
        (ranks, alphas) = (Read(json, Rank), Read(json, Alpha));
    }

    /// <summary>The rank of a matrix's A there, which is the options' own or, over a fused matrix, a multiple that leaves the factor on B·A as
    /// it is.</summary>
    /// <exception cref="UserException">It is another.</exception>
    public int RankOf(string module, LoraOptions options, bool fused)
    {
        double rank = Find(ranks, module) ?? options.Rank, alpha = Find(alphas, module) ?? options.Alpha;
        double factor = alpha / (options.RankStabilized ? Math.Sqrt(rank) : rank);
        bool same = Math.Abs(factor / options.Scale - 1) < 1e-9 && (rank == options.Rank || (fused && rank % options.Rank == 0));
        return same ? (int)rank : throw Refuse(module, rank, alpha);
    }

    /// <summary>The error for a matrix whose rank cannot be had here.</summary>
    public UserException Refuse(string module, double rank, double? alpha = null) => new(
        $"{location}: {module} has rank {rank}{(alpha is null ? "" : $" and alpha {alpha}")}; all matrices must have one rank and one " +
        "alpha, but for parts of a fused one that have a share of its rank each");

    private static double? Find((Regex Pattern, double Value)[] patterns, string module)
    {
        foreach ((Regex pattern, double value) in patterns)
            if (pattern.IsMatch(module)) return value;
        return null;
    }

    private (Regex, double)[] Read(JsonObject json, string key)
    {
        return json[key] is JsonObject found ? [.. found.Select(entry => (PatternOf(entry.Key), ValueOf(entry)))] : [];

        // As PEFT matches them: the whole name, or its end after a dot.
        Regex PatternOf(string pattern)
        {
            try
            {
                return new($@"\A(.*\.)?({pattern})\z", RegexOptions.NonBacktracking);
            }
            catch (Exception error) when (error is ArgumentException or NotSupportedException)
            {
                throw new UserException($"{location}: {key} has \"{pattern}\", which is no pattern of names that can be read", error);
            }
        }

        double ValueOf(KeyValuePair<string, JsonNode?> entry) =>
            entry.Value is JsonValue value && value.TryGetValue(out double number) && number > 0
                ? number
                : throw new UserException(
                    $"{location}: {key}.{entry.Key} is {entry.Value?.ToJsonString() ?? "null"}; expected a number above 0");
    }
}
