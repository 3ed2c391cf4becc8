using Trainer.Data;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Evaluation.Evaluators;

/// <summary>What is measured while it is trained, and on what.</summary>
/// <param name="Model">The model that is trained.</param>
/// <param name="Data">Its data; measures look at the part for validation.</param>
/// <param name="Settings">What the recipe says of the data.</param>
/// <param name="BatchSize">Rows of a training step.</param>
/// <param name="MicroBatch">Rows computed at once.</param>
/// <param name="Seed">Draws what measures draw.</param>
/// <param name="Device">Where the model is.</param>
public sealed record MeasureSubject(LanguageModel Model, PreparedData Data, DataOptions Settings, int BatchSize, int MicroBatch, long Seed, Device Device)
{
    /// <summary>The tokenizer of the data.</summary>
    public Tokenizer Tokenizer => Data.Tokenizer;

    /// <summary>Rows of the validation data as <c>evaluate</c> makes them.</summary>
    /// <param name="batches">Batches of <see cref="BatchSize"/> rows at most, spread evenly; null for all.</param>
    public ValidationSet Rows(int? batches)
    {
        long most = (long)(batches ?? int.MaxValue) * (BatchSize / MicroBatch);
        return ValidationSet.Create(Data, Settings, Model.ContextLength, MicroBatch, (int)Math.Min(most, int.MaxValue), Model.PrefixLength);
    }
}
