namespace Trainer.Models;

/// <summary>A module whose result is added to the residual stream, which initialisation makes smaller.</summary>
internal interface IJoinsResidual
{
    /// <summary>The name within the module of the matrix that makes the result; null where the result goes elsewhere.</summary>
    string? JoiningWeight { get; }
}
