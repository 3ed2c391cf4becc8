namespace Trainer.Transformers.Precision;

/// <summary>A module with a matrix that is multiplied in the model's compute type.</summary>
internal interface IRoundsWeights
{
    /// <summary>Has nothing left of its matrix but what is multiplied: for inference.</summary>
    void RoundWeights();
}
