"""The resource provider `switchback`: RunPodEndpoint, Verification, TrafficSplit, BucketContents.

A real provider on pulumi.provider.experimental, found through `plugins.providers` in Pulumi.yaml, which names the
committed folder bin/ with its launcher. One module per type holds a controller: check, diff, create, read, update,
delete on plain Python values, synchronous and free of Pulumi. server.py is the only async module.

What to know before changing it:

* Preview calls check, diff, create and update, and none of them may write. They may look: a plain preview compares
  with the live endpoint and the live deployment, so that it tells the truth after RunPod's own scale-down or an
  emergency rollback. A look-up that fails there is a warning: an outage of one vendor must not stop the return to
  another.
* Unknowns arrive as sentinel strings and leave the same way (`property_values.Unknown`). An output that a preview
  cannot know is left out.
* `diff` gets the old outputs but not the old inputs, so outputs always contain the inputs. `read` returns live inputs,
  or a refresh would empty them.
* Nothing is replaced but an endpoint that changes its owner or vanished. A replacement is made before the old one is
  deleted, hence a create never adopts an endpoint that the state already knows.
* A create may be killed at any moment. RunPod's endpoint carries a marker in its env, so that the next create goes on
  with it; a deployment is found by reading what is live; a verification is simply run again.
* Verification and TrafficSplit raise when they fail. They are then not in the state, or keep their old inputs there,
  and every following `up` tries again. CreatedButUnhealthy records a resource that exists and is not well.
* Secrets stay secret by path (`property_values.secret_paths`), `env` always. An error's text is shown to the user and
  may end in a CI log: no values, only names.
"""
