using Trainer.Configuration;
using Trainer.Data;
using Trainer.Models;

namespace Trainer.Training;

internal static class ObjectiveValidation
{
    private static readonly Objective[] Table =
    [
        new(DataObjective.Causal, "causal", "decoder", typeof(DecoderOptions)),
        new(DataObjective.Masked, "masked", "encoder", typeof(EncoderOptions)),
        new(DataObjective.SequenceToSequence, "sequence-to-sequence", "encoder-decoder", typeof(EncoderDecoderOptions)),
    ];

    // Pictures and time series have their objective from their kind (PatchValidation).
    private static bool IsOfTokens(ModelOptions model, DataOptions data) => model.PatchInput() is null && data.Kind == DataKind.Text
        && data.Objective is not (DataObjective.Classification or DataObjective.Forecasting);

    private sealed record Objective(DataObjective Value, string Name, string Architecture, Type Options)
    {
        public bool Trains(ModelOptions model) => Options.IsInstanceOfType(model);
    }

    public static IEnumerable<Problem> Check(ModelOptions model, DataOptions data)
    {
        if (!IsOfTokens(model, data)) yield break;
        Objective objective = Table.Single(row => row.Value == data.Objective);
        if (!objective.Trains(model))
            yield return new("data.objective", Mismatch(objective, Table.Single(row => row.Trains(model))));
        if (!model.KeepsDocumentsApart() && SharesRows(data) is { } why)
            yield return new("model.attention.kernel", $"'linear' sums over whole rows, and {why}; use kernel " +
                $"'auto'{(data.Packing == DataPacking.Documents ? ", or set data.packing to 'crops'" : "")}");
        if (data.PositionSkipping is { Window: var window })
            foreach (Problem problem in Skipping(model, window)) yield return problem;
        if (data.Packing == DataPacking.Documents && model.PrefixLength() is > 1 and var prefix)
            yield return new("data.packing", $"'documents' puts several documents in a row, of which only the first would have the " +
                $"prefix of {prefix} tokens that attention pattern 'prefix' reads together; use 'crops' or 'pairs', or pattern 'causal'");
        if (data.Packing == DataPacking.Documents && model.PatternFromBeginning() is { } pattern)
            yield return new("data.packing", "'documents' puts several documents in a row, of which only the first would have the " +
                $"sinks, global tokens or blocks that attention pattern '{pattern}' counts from the row's beginning; use 'crops' or " +
                "'pairs', or pattern 'causal', 'strided', or 'sliding' without sinks");
    }

    /// <summary>The architecture's name in recipes.</summary>
    public static string Architecture(ModelOptions model) => Table.Single(row => row.Trains(model)).Architecture;

    /// <summary>Why a token may not attend to its whole row; null where it may.</summary>
    public static string? SharesRows(DataOptions data) =>
        data.Objective == DataObjective.SequenceToSequence ? "sources are padded to one length, which must not be seen"
        : data.Packing == DataPacking.Documents ? "data.packing 'documents' puts several documents in a row, none of which may see another"
        : null;

    private static IEnumerable<Problem> Skipping(ModelOptions model, int window)
    {
        if (window >= model.ContextLength)
            yield return new("data.positionSkipping.window", $"window ({window}) must be less than model.contextLength " +
                $"({model.ContextLength}), the length that is trained for; set contextLength to the target length, or remove " +
                "positionSkipping");
        if (window < model.PrefixLength())
            yield return new("data.positionSkipping.window", $"window ({window}) is less than the {model.PrefixLength()} tokens that " +
                $"attention pattern 'prefix' reads together, so that none is left to predict; use {model.PrefixLength()} or more, or " +
                "a shorter prefixLength");
        if (!model.HasOnlyRotaryPositions())
            yield return new("data.positionSkipping", $"needs rotary positions in every layer that has positions, and model.position " +
                "is another; remove it, or set model.position.type to 'rotary'");
    }

    private static string Mismatch(Objective wanted, Objective fitting) =>
        $"'{wanted.Name}' trains architecture '{wanted.Architecture}', but model.architecture is '{fitting.Architecture}'; "
        + $"set data.objective to '{fitting.Name}', or model.architecture to '{wanted.Architecture}'";
}
