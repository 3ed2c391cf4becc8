using Trainer.Configuration;
using Trainer.Text;
using Trainer.Transformers;

namespace Trainer.Training;

/// <summary>Which models can learn what: the one place where data and model are held against each other.</summary>
internal static class ObjectiveRules
{
    /// <summary>The architecture that each objective trains.</summary>
    private static readonly Objective[] Table =
    [
        new(DataObjective.Causal, "causal", "decoder", typeof(DecoderOptions)),
        new(DataObjective.Masked, "masked", "encoder", typeof(EncoderOptions)),
        new(DataObjective.SequenceToSequence, "sequence-to-sequence", "encoder-decoder", typeof(EncoderDecoderOptions)),
    ];

    private sealed record Objective(DataObjective Value, string Name, string Architecture, Type Options)
    {
        public bool Trains(ModelOptions model) => Options.IsInstanceOfType(model);
    }

    /// <summary>What is wrong between a model and its data, with paths from the recipe's root.</summary>
    public static IEnumerable<Problem> Check(ModelOptions model, DataOptions data)
    {
        Objective objective = Table.Single(row => row.Value == data.Objective);
        if (!objective.Trains(model))
            yield return new("data.objective", Mismatch(objective, Table.Single(row => row.Trains(model))));
    }

    private static string Mismatch(Objective wanted, Objective fitting) =>
        $"'{wanted.Name}' trains architecture '{wanted.Architecture}', but model.architecture is '{fitting.Architecture}'; "
        + $"set data.objective to '{fitting.Name}', or model.architecture to '{wanted.Architecture}'";
}
