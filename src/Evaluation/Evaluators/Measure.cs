using Trainer.Configuration;

namespace Trainer.Evaluation.Evaluators;

/// <summary>A measure in a run.</summary>
internal abstract class Measure
{
    /// <summary>What stands in the way of measuring, known only with tokenizer and data: found before the first step.</summary>
    /// <returns>Problems with paths relative to the measure's options.</returns>
    public virtual IEnumerable<Problem> Problems() => [];

    /// <summary>Measures the model as it is now.</summary>
    /// <exception cref="UserException">The model says nothing that could be measured.</exception>
    public abstract MeasureOutcome Take();
}
