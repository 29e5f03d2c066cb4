import { exchangeObject, placeOf, scarecrow } from "scarecrow-workers";
import module from "scarecrow-workers/scarecrow.wasm";
import policy from "./policy.json";

const options = { module, policy, exchange: placeOf };

export class ScarecrowExchange extends exchangeObject(options) {}

export default scarecrow(options);
