using Trainer.Configuration;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Caches;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.FeedForward;
using Trainer.Models.Mixers;
using Trainer.Models.Positions;

namespace Trainer.Models;

internal static class ModelValidation
{
    /// <summary>Rules of the model and of its parts, as the configuration loader would gather them.</summary>
    public static IEnumerable<Problem> All(ModelOptions model) =>
    [
        .. model.Validate(),
        .. OfParts("", model.Mixer, model.Attention, model.Position, model.FeedForward),
        .. Under("norm", model.Norm.Validate()),
        .. Under("input", model.PatchInput()?.Validate()),
        .. Under("encoderAttention", model.OtherAttention?.Validate()),
        .. (model.LayerPattern ?? []).SelectMany(
            (group, index) => OfParts($"layerPattern.{index}.", group.Mixer, group.Attention, group.Position, group.FeedForward)),
    ];

    public static IEnumerable<Problem> BetweenParts(ModelOptions model)
    {
        if (model.Dim < 1) return [];
        return
        [
            .. OfPlacement(model),
            .. MixerValidation.Problems(model),
            .. OfLayer(model, new("attention", model.Attention), new("position", model.Position)),
            .. model.OtherAttention is { } other
                ? OfLayer(model, new("encoderAttention", other with { Pattern = null }), new("position", model.Position))
                : [],
            .. (model.LayerPattern ?? []).SelectMany((group, index) => OfGroup(model, group, $"layerPattern.{index}")),
        ];
    }

    private static IEnumerable<Problem> OfPlacement(ModelOptions model)
    {
        if (model.ParallelResidual && model.Norm.Placement != NormPlacement.Pre)
            yield return new(
                "parallelResidual",
                $"is true, which norm.placement 'pre' goes with, but that is '{Text(model.Norm.Placement)}'; set one of the two otherwise");
    }

    private static IEnumerable<Problem> OfGroup(ModelOptions model, LayerGroupOptions group, string path)
    {
        if (group.Attention is null && group.Position is null) return [];
        return
        [
            .. OfOwnPosition(model, group, path),
            .. OfLayer(
                model,
                group.Attention is { } attention ? new($"{path}.attention", attention) : new("attention", model.Attention),
                group.Position is { } position ? new($"{path}.position", position) : new("position", model.Position)),
        ];
    }

    // Embeddings precede all layers, which also share learned positions: neither can differ between layers.
    private static IEnumerable<Problem> OfOwnPosition(ModelOptions model, LayerGroupOptions group, string path)
    {
        if (group.Position is not { } own || own == model.Position) yield break;
        if (own.EntersEmbedding || own.Parameters(model) > 0)
            yield return new(
                $"{path}.position",
                $"type '{own.Type}' cannot differ between layers: it is shared by all of them; use 'rotary', 'alibi' or 'none' here");
        else if (model.Position.EntersEmbedding)
            yield return new(
                $"{path}.position",
                $"type '{own.Type}' comes too late for these layers: model.position '{model.Position.Type}' is in the embeddings " +
                "already; set model.position to 'rotary' or 'none'");
    }

    private static IEnumerable<Problem> OfLayer(ModelOptions model, At<AttentionOptions> attention, At<PositionOptions> position)
    {
        AttentionOptions resolved = model.Resolved(attention.Value);
        if (resolved.Heads < 1) return [];
        Problem[] impossible = [.. Under(attention.Path, resolved.Against(model.Dim))];
        if (impossible.Length > 0) return impossible;
        string? refusal = model.Refuses(resolved.ResolvedPattern);
        return
        [
            .. refusal is null ? Array.Empty<Problem>() : [new($"{attention.Path}.pattern", refusal)],
            .. Under(position.Path, position.Value.Against(model, resolved)),
            .. resolved.Kernel == AttentionKernel.Flash && position.Value.AddsBias
                ? [FlashWithBias(attention.Path, position.Value)]
                : Array.Empty<Problem>(),
            .. resolved.Kernel == AttentionKernel.Linear ? OfLinear(model, attention.Path, position) : [],
            .. Under(attention.Path, KernelSelection.Problems(resolved, resolved.HeadWidth(model.Dim))),
            .. Under(attention.Path, CacheSelection.Problems(resolved)),
        ];
    }

    private static Problem FlashWithBias(string path, PositionOptions position) =>
        new(
            $"{path}.kernel",
            $"flash cannot add the bias of positions '{position.Type}' to the scores; " +
            "use kernel 'auto' or 'reference', or position 'rotary'");

    // Linear attention has neither scores nor weights.
    private static IEnumerable<Problem> OfLinear(ModelOptions model, string path, At<PositionOptions> position)
    {
        if (position.Value.AddsBias)
            yield return new(
                $"{path}.kernel",
                $"linear has no scores to add the bias of positions '{position.Value.Type}' to; " +
                "use kernel 'auto', or position 'rotary' or 'none'");
        if (position.Value.ScoreFactor(model) is var factor and not 1)
            yield return new(
                $"{position.Path}.scaling",
                $"multiplies all scores by {factor:0.####} (mscaleAllDim), and kernel 'linear' has none; " +
                "leave mscaleAllDim out, or use kernel 'auto'");
        if (model.Dropout > 0)
            yield return new(
                $"{path}.kernel", $"linear has no weights to drop (model.dropout {model.Dropout}); set dropout to 0, or kernel to 'auto'");
    }

    private static IEnumerable<Problem> OfParts(
        string path, MixerOptions? mixer, AttentionOptions? attention, PositionOptions? position, FeedForwardOptions? feedForward) =>
    [
        .. Under($"{path}mixer", mixer?.Validate()),
        .. Under($"{path}attention", attention?.Validate()),
        .. Under($"{path}attention.pattern", attention?.Pattern?.Validate()),
        .. Under($"{path}position", position?.Validate()),
        .. Under($"{path}position", position?.ValidateParts()),
        .. Under($"{path}feedForward", feedForward?.Validate()),
    ];

    private static IEnumerable<Problem> Under(string path, IEnumerable<Problem>? problems) =>
        (problems ?? []).Select(problem => problem with { Path = problem.Path.Length == 0 ? path : $"{path}.{problem.Path}" });

    private static string Text(NormPlacement placement) => placement.ToString().ToLowerInvariant();

    private readonly record struct At<T>(string Path, T Value);
}

internal static class MixerValidation
{
    public static IEnumerable<Problem> Problems(ModelOptions model) =>
    [
        .. OfAllLayers(model),
        .. Against(model, model.Mixer, "mixer"),
        .. (model.LayerPattern ?? []).SelectMany((group, index) => OfGroup(model, group, $"layerPattern.{index}")),
    ];

    private static IEnumerable<Problem> OfAllLayers(ModelOptions model)
    {
        if (!model.Mixer.OnlyLooksBack) yield break;
        if (!model.IsCausal) yield return new("mixer", Encoder(model.Mixer));
        else if (model.HasEncoder)
            yield return new(
                "mixer",
                $"type '{model.Mixer.Type}' only looks back, and the encoder, which it would be in as well, sees the whole text; give " +
                "it to layers of the decoder in layerPattern");
    }

    private static IEnumerable<Problem> OfGroup(ModelOptions model, LayerGroupOptions group, string path)
    {
        MixerOptions mixer = group.Mixer ?? model.Mixer;
        if (group.Mixer is not null)
        {
            if (mixer.OnlyLooksBack && !model.IsCausal) yield return new($"{path}.mixer", Encoder(mixer));
            foreach (Problem problem in Against(model, mixer, $"{path}.mixer")) yield return problem;
        }
        if (mixer.Attends) yield break;
        if (group.Attention is not null) yield return new($"{path}.attention", Unused(mixer));
        if (group.Position is not null) yield return new($"{path}.position", Unused(mixer));
    }

    private static IEnumerable<Problem> Against(ModelOptions model, MixerOptions mixer, string path) =>
        mixer.Against(model).Select(problem => problem with { Path = $"{path}.{problem.Path}" });

    private static string Encoder(MixerOptions mixer) =>
        $"type '{mixer.Type}' only looks back, and an encoder sees the whole text; use 'attention', or model.architecture 'decoder'";

    private static string Unused(MixerOptions mixer) => $"means nothing to the mixer of these layers, '{mixer.Type}'; leave it out";
}

internal static class Divisors
{
    private const int Suggestions = 4;

    /// <summary>The divisors of <paramref name="number"/> nearest to <paramref name="wanted"/>, in order: "1, 2, 3 or 6"; of those only
    /// multiples of <paramref name="multipleOf"/>, which divides <paramref name="number"/>.</summary>
    public static string Near(int number, int wanted, int multipleOf = 1)
    {
        IEnumerable<int> all = Of(number).Where(divisor => divisor % multipleOf == 0);
        int[] near = [.. all.OrderBy(divisor => Math.Abs(divisor - wanted)).Take(Suggestions).Order()];
        return near.Length == 1 ? $"{near[0]}" : $"{string.Join(", ", near[..^1])} or {near[^1]}";
    }

    private static IEnumerable<int> Of(int number) => Enumerable.Range(1, number).Where(divisor => number % divisor == 0);
}
