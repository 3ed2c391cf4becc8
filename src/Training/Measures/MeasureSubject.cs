using Trainer.Text;
using Trainer.Transformers;
using static TorchSharp.torch;

namespace Trainer.Training.Measures;

/// <summary>What is measured, and on what.</summary>
/// <param name="Model">The model that is trained.</param>
/// <param name="Data">Its data; measures look at the part for validation.</param>
/// <param name="Recipe">The recipe of the run.</param>
/// <param name="Device">Where the model is.</param>
internal sealed record MeasureSubject(LanguageModel Model, PreparedData Data, Recipe Recipe, Device Device)
{
    public Tokenizer Tokenizer => Data.Tokenizer;

    /// <summary>Rows of the validation data as <c>evaluate</c> makes them.</summary>
    /// <param name="batches">Batches of <c>training.batchSize</c> rows at most, spread evenly; null for all.</param>
    public ValidationSet Rows(int? batches)
    {
        long most = (long)(batches ?? int.MaxValue) * (Recipe.Training.BatchSize / Recipe.Training.MicroBatch);
        return ValidationSet.Create(Data, Recipe.Data, Recipe.Model.ContextLength, Recipe.Training.MicroBatch, (int)Math.Min(most, int.MaxValue), Recipe.Model.PrefixLength());
    }
}
