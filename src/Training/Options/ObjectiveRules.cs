using Trainer.Configuration;
using Trainer.Text;
using Trainer.Transformers;
using Trainer.Transformers.Attention.Patterns;

namespace Trainer.Training;

/// <summary>Which models can learn what: the one place where data and model are held against each other.</summary>
internal static class ObjectiveRules
{
    /// <summary>The architecture that each objective trains; its options are null while this version has none.</summary>
    private static readonly Objective[] Table =
    [
        new(DataObjective.Causal, "causal", "decoder", typeof(DecoderOptions)),
        new(DataObjective.Masked, "masked", "encoder", Options: null),
        new(DataObjective.SequenceToSequence, "sequence-to-sequence", "encoder-decoder", Options: null),
    ];

    private sealed record Objective(DataObjective Value, string Name, string Architecture, Type? Options)
    {
        public bool Trains(ModelOptions model) => Options?.IsInstanceOfType(model) == true;
    }

    /// <summary>What is wrong between a model and its data, with paths from the recipe's root.</summary>
    public static IEnumerable<Problem> Check(ModelOptions model, DataOptions data)
    {
        Objective objective = Table.Single(row => row.Value == data.Objective);
        if (!objective.Trains(model))
            yield return new("data.objective", Mismatch(objective, Table.Single(row => row.Trains(model))));
        else if (data.Packing == DataPacking.Documents && !KeepsDocumentsApart(model.Attention.Pattern))
            yield return new("data.packing",
                "is 'documents', but model.attention.pattern lets the documents of a row see each other, so that one would leak into the next; set data.packing to 'crops'");
    }

    /// <summary>Whether no place sees one of another document: one line here for each such pattern.</summary>
    private static bool KeepsDocumentsApart(PatternOptions pattern) => pattern switch
    {
        _ => false,
    };

    private static string Mismatch(Objective wanted, Objective fitting) =>
        $"'{wanted.Name}' trains architecture '{wanted.Architecture}', but model.architecture is '{fitting.Architecture}'; set data.objective to '{fitting.Name}'"
        + (wanted.Options is null ? $" (this version has no '{wanted.Architecture}' yet)" : $", or model.architecture to '{wanted.Architecture}'");
}
