using Trainer.Configuration;

namespace Trainer.Models.Precision;

/// <summary>A module with matrices that are multiplied in the model's compute type.</summary>
internal interface IRoundsWeights
{
    /// <summary>Has nothing left of its matrices but what is multiplied: for inference.</summary>
    /// <exception cref="UserException">Their rows cannot be held in that type.</exception>
    void RoundWeights();
}
