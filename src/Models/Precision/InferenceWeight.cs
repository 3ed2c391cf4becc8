using TorchSharp.Modules;
using Trainer.Configuration;
using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Models.Precision;

/// <summary>What becomes of a matrix in a model for inference.</summary>
internal static class InferenceWeight
{
    /// <summary>Has nothing left of a matrix but what is multiplied.</summary>
    /// <param name="matrix">(…, K)</param>
    /// <param name="computeType">The type of products.</param>
    /// <exception cref="UserException">Its rows cannot be held in that type.</exception>
    public static void Replace(Parameter matrix, ScalarType computeType)
    {
        RequireRows(matrix.size(-1), computeType);
        ComputeWeight.Replace(matrix, computeType);
    }

    /// <summary>Requires that rows of so many numbers can be held in a type.</summary>
    /// <exception cref="UserException">They cannot.</exception>
    public static void RequireRows(long width, ScalarType computeType)
    {
        if (computeType == ScalarType.Int8 && !BlockQuantization.Divides(width))
            throw new UserException($"int8 holds matrices in blocks of {BlockQuantization.BlockLength} numbers, and this model has one with rows of {width}; use bfloat16");
    }
}
